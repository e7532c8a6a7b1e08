import time
from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders import duplicates
from data_builders.duplicates import Rows, near, settle
from facevlm.config import ConfigError


def flipped(code, bits):
    found = np.unpackbits(np.frombuffer(bytes(code), np.uint8))
    found[list(bits)] ^= 1
    return np.packbits(found).tobytes()


def random_hashes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 32), np.uint8)


def pairs(hashes, distance, kin=None):
    found = [(int(i), int(j), int(n)) for a, b, bits in near(hashes, distance, kin)
             for i, j, n in zip(a, b, bits, strict=True)]  # fmt: skip
    assert len({(i, j) for i, j, _ in found}) == len(found), "a pair came twice"
    return set(found)


def brute(hashes, distance):
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(2)
    return {(int(i), int(j), int(bits[i, j])) for i, j in zip(*np.nonzero(bits <= distance), strict=True) if i < j}


def planted(seed, n=300):
    """Random hashes, and for every distance 0-12 a neighbour of one of them."""
    rng, hashes = np.random.default_rng(seed), random_hashes(n, seed)
    for i, bits in enumerate(list(range(13)) * 3):
        hashes[n - 1 - i] = np.frombuffer(flipped(hashes[i], rng.choice(256, bits, replace=False)), np.uint8)
    return hashes[rng.permutation(n)]


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 8, 10, 11, 12, 40])
def test_near_finds_what_a_count_of_all_pairs_finds(distance):
    for seed in range(4):
        hashes = planted(seed)
        assert pairs(hashes, distance) == brute(hashes, distance)


@pytest.mark.parametrize("distance", [0, 3, 8, 12])
def test_near_finds_a_neighbour_however_its_bits_lie_on_the_bands_borders(distance):
    code = random_hashes(1)[0].tobytes()
    # One flipped bit in a band, and in every band but one: the only way to be found.
    spread = [i * 256 // (distance + 1) for i in range(distance)]
    edges = [0, 7, 8, 63, 64, 127, 128, 191, 192, 254, 255]
    for bits in (spread, [255 - i for i in spread], edges[:distance], edges[-distance:] if distance else []):
        hashes = np.frombuffer(code + flipped(code, bits), np.uint8).reshape(2, 32)
        assert pairs(hashes, distance) == {(0, 1, len(bits))}
        assert pairs(np.frombuffer(code + flipped(flipped(code, bits), {100, 200} - set(bits)), np.uint8)
                     .reshape(2, 32), max(len(bits) - 1, 0)) == set()  # fmt: skip


@pytest.mark.parametrize("n", [0, 1])
def test_near_of_nothing_is_nothing(n):
    assert pairs(random_hashes(n), 8) == set()


def test_near_passes_over_kin_and_over_nothing_else():
    hashes = planted(5)
    hashes[:60] = hashes[0]  # one picture of three people
    kin = np.random.default_rng(1).integers(0, 3, len(hashes))
    kin[60:] = np.arange(100, 100 + len(hashes) - 60)
    assert pairs(hashes, 10, kin) == {(i, j, n) for i, j, n in brute(hashes, 10) if kin[i] != kin[j]}


def test_a_video_of_one_person_costs_no_pairs():
    # 20,000 frames within 8 bits of one another are 200 million pairs: minutes, were each one looked at.
    rng = np.random.default_rng(0)
    code = random_hashes(1)[0].tobytes()
    rows = Rows()
    for _ in range(20_000):
        add(rows, flipped(code, rng.choice(256, 4, replace=False)), subject="p")
    add(rows, code, subject="q", split="test")
    started = time.perf_counter()
    verdicts = settle(rows, 8)
    assert time.perf_counter() - started < 20
    assert len(verdicts.dropped) == 20_000 and verdicts.counts == {"near-duplicate of test": 20_000}


# -- what becomes of them

CODE = random_hashes(1, 9)[0].tobytes()


def add(rows, code=CODE, split="train", subject=None, label="fear", media=None):
    i = len(rows.id)
    rows.index.append(i)
    rows.id.append(f"r{i}")
    rows.media.append(media or f"{i}.jpg")
    rows.subject.append(subject)
    rows.split.append(split)
    rows.label.append(label)
    rows.hash.append(code)


def judged(*records, distance=8, against=()):
    """Reasons by place, and the counts, of records given as keyword arguments of `add`."""
    rows = Rows()
    for record in records:
        add(rows, **record)
    verdicts = settle(rows, distance, against)
    return {i: reason for i, (reason, _) in sorted(verdicts.dropped.items())}, dict(verdicts.counts)


def at(bits, start=0):
    """The code with bits start … start + bits - 1 turned over."""
    return flipped(CODE, range(start, start + bits))


@pytest.mark.parametrize("bits", [0, 1, 8])
@pytest.mark.parametrize("held_out", ["test", "val"])
@pytest.mark.parametrize("first", [True, False])
def test_a_training_copy_of_a_held_out_picture_is_dropped(bits, held_out, first):
    two = [{"split": held_out}, {"code": at(bits)}]
    dropped, counts = judged(*(two if first else two[::-1]))
    assert dropped == {int(first): f"near-duplicate of {held_out}"} and counts == {f"near-duplicate of {held_out}": 1}


def test_one_bit_more_than_the_distance_is_another_picture():
    assert judged({"split": "test"}, {"code": at(9)}) == ({}, {})


def test_a_val_copy_of_a_test_picture_is_dropped():
    assert judged({"split": "val"}, {"split": "test"})[0] == {0: "near-duplicate of test"}


def test_one_person_on_both_sides_is_a_leak_all_the_same():
    assert judged({"split": "test", "subject": "p"}, {"subject": "p"})[0] == {1: "near-duplicate of test"}


def test_a_persons_frames_in_one_split_are_left_alone():
    assert judged({"subject": "p"}, {"subject": "p", "code": at(3)}, {"subject": "p", "label": "anger"}) == ({}, {})


def test_faces_of_one_picture_are_left_alone():
    faces = [{"media": "crowd.jpg", "label": label} for label in ("fear", "anger", "fear")]
    assert judged(*faces) == ({}, {})


def test_of_training_copies_the_first_stays():
    assert judged({}, {"code": at(2)}, {"code": at(3)})[0] == {1: "near-duplicate", 2: "near-duplicate"}


def test_copies_without_a_label_are_no_conflict():
    assert judged({}, {"label": None})[0] == {1: "near-duplicate"}


@pytest.mark.parametrize("bits", [0, 4])
def test_copies_with_two_labels_are_dropped_both(bits):
    dropped, counts = judged({}, {"code": at(bits), "label": "anger"})
    assert dropped == {0: "label conflict", 1: "label conflict"} and counts == {"label conflict": 1}


def test_every_copy_of_a_disputed_picture_is_dropped_not_only_the_first_of_each_label():
    dropped, _ = judged({"subject": "p"}, {"subject": "p"}, {"subject": "q", "label": "anger"}, {"subject": "r"})
    assert dropped == dict.fromkeys(range(4), "label conflict")


@pytest.mark.parametrize("split", ["test", "val"])
def test_held_out_copies_and_conflicts_are_counted_and_kept(split):
    dropped, counts = judged({"split": split}, {"split": split, "code": at(1)},
                             {"split": split, "code": at(200, 20), "label": "anger"},
                             {"split": split, "code": at(200, 20)})  # fmt: skip
    assert dropped == {}
    assert counts == {f"near-duplicate within {split}, kept": 1, f"label conflict within {split}, kept": 1}


def test_of_a_chain_the_ends_that_are_not_alike_stay_but_the_middle():
    assert judged({}, {"code": at(6)}, {"code": at(12)})[0] == {1: "near-duplicate"}


@pytest.mark.parametrize("seed", range(5))
def test_the_verdict_on_a_chain_does_not_hang_on_the_hashes(seed):
    rng = np.random.default_rng(seed)
    start, order = random_hashes(1, seed)[0].tobytes(), rng.permutation(256)
    chain = [{"code": flipped(start, order[: 5 * i])} for i in range(6)]
    assert judged(*chain, distance=5)[0] == dict.fromkeys([1, 3, 5], "near-duplicate")


def test_what_is_a_copy_of_a_dropped_record_is_kept_once():
    # 0 leaks and goes; 1 is like 0, but not like the test picture, and 2 is a copy of 1.
    dropped, _ = judged({"code": at(8)}, {"code": at(14)}, {"code": at(14)}, {"split": "test"})
    assert dropped == {0: "near-duplicate of test", 2: "near-duplicate"}


def test_identical_pictures_in_all_splits_leave_only_the_tests():
    records = [{"split": split, "label": label} for split in ("train", "val", "test", "train")
               for label in ("fear", "anger")]  # fmt: skip
    dropped, _ = judged(*records)
    assert dropped == {i: "near-duplicate of test" for i in (0, 1, 2, 3, 6, 7)}


def test_copies_near_copies_are_all_held_against_the_test_picture():
    dropped, _ = judged({}, {"code": at(3), "split": "test"}, {}, {"code": at(3)}, {"subject": "p"})
    assert dropped == dict.fromkeys([0, 2, 3, 4], "near-duplicate of test")


def test_the_details_name_the_other_record_and_the_bits():
    rows = Rows()
    add(rows, at(3))
    add(rows, split="test")
    assert settle(rows, 8).dropped == {0: ("near-duplicate of test", "3 bits from r1")}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_near_is_left_between_splits_or_strangers(seed):
    """On a random heap, what must hold afterwards holds: seen by a count of all pairs."""
    rng = np.random.default_rng(seed)
    base = random_hashes(12, seed)
    rows = Rows()
    for _ in range(250):
        code = flipped(base[rng.integers(12)], rng.choice(256, rng.integers(0, 7), replace=False))
        add(rows, code, str(rng.choice(["train", "val", "test"])), [None, "p", "q"][rng.integers(3)],
            [None, "fear", "anger"][rng.integers(3)], f"{rng.integers(200)}.jpg")  # fmt: skip
    gone = settle(rows, 8).dropped
    kept = [i for i in range(250) if i not in gone]
    hashes = np.frombuffer(b"".join(rows.hash), np.uint8).reshape(-1, 32)
    assert {i for i in range(250) if rows.split[i] == "test"} <= set(kept)
    for i, j, _bits in brute(hashes, 8):
        if i in gone or j in gone:
            continue
        assert rows.split[i] == rows.split[j], (i, j)
        if rows.split[i] == "train":
            assert rows.media[i] == rows.media[j] or (rows.subject[i] == rows.subject[j] is not None), (i, j)


def test_thousands_of_identical_pictures_are_fast():
    rows = Rows()
    for i in range(20_000):
        add(rows, split="test" if i == 7000 else "train", label=["fear", "anger", "disgust"][i % 3])
    started = time.perf_counter()
    verdicts = settle(rows, 8)
    assert time.perf_counter() - started < 10
    assert Counter(reason for reason, _ in verdicts.dropped.values()) == {"near-duplicate of test": 19_999}


def test_no_records_at_all_need_no_verdict():
    assert settle(Rows(), 8).dropped == {}


# -- other sets


def other_set(folder, *rows):
    folder.mkdir()
    names, splits, codes = zip(*rows, strict=True)
    pq.write_table(pa.table({"id": names, "split": splits, "hash": pa.array(codes, pa.binary(32))}),
                   folder / duplicates.HASHES)  # fmt: skip
    return str(folder)


def test_another_sets_held_out_pictures_drop_training_records_only(tmp_path):
    against = [other_set(tmp_path / "a", ("t", "test", CODE), ("x", "train", at(100, 99))),
               other_set(tmp_path / "b", ("v", "val", at(50, 50)))]  # fmt: skip
    dropped, counts = judged({"code": at(2)}, {"code": at(2), "split": "val"}, {"code": at(2), "split": "test"},
                             {"code": at(100, 99)}, {"code": at(50, 50)}, against=against)  # fmt: skip
    assert dropped == {0: "near-duplicate of test", 1: "near-duplicate of test",
                       4: "near-duplicate of another set's test"}  # fmt: skip
    assert counts["near-duplicate of another set's test"] == 2


def test_the_other_sets_record_is_named(tmp_path):
    rows = Rows()
    add(rows)
    folder = other_set(tmp_path / "a", ("t1", "test", CODE), ("t2", "test", CODE))
    assert settle(rows, 8, [folder]).dropped[0][1] == f"0 bits from test record t1 of {folder}"


def test_all_folders_without_hashes_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no hashes.parquet in .*one, .*two"):
        settle(Rows(), 8, [str(tmp_path / "one"), str(tmp_path / "two")])


def test_rank_covers_every_split_pair():
    for one, two in combinations(["test", "val", "train"], 2):
        assert judged({"split": two}, {"split": one})[0] == {0: f"near-duplicate of {one}"}
