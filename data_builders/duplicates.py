"""Near-identical pictures, found by their perceptual hashes; and what becomes of the records that show them.

A model must not be tested on what it was trained on: a training record whose picture is also in a test set, of this
data set or another, is dropped. Within one split copies are dropped too, and copies that two annotators named
differently are dropped both. Pictures of one person in one split are left alone: neighbouring frames look alike by
nature. Test records stay as they are, for a test set with pieces left out is another test set; they are counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facevlm.config import ConfigError

Hashes = NDArray[np.uint8]
"""One row of 32 bytes a picture."""

HASHES = "hashes.parquet"
"""The file of a set that holds id, split and hash of each record: what other sets are compared with."""

_RANK = {"test": 0, "val": 1, "train": 2}


def near(hashes: Hashes, distance: int, kin: NDArray[np.int64] | None = None) -> Iterator[
        tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]]:  # fmt: skip
    """All pairs of rows that differ in at most `distance` of 256 bits, as arrays of first row < second row and bits.

    Exact: cut into distance + 1 bands, two such hashes agree in one band at least (Norouzi, Punjani & Fleet 2012,
    "Fast Search in Hamming Space with Multi-Index Hashing"). Each pair comes once.

    Args:
        kin: rows with the same number are not compared; None = all are. A video's frames are all alike: to look at
            each pair of them would take hours.
    """
    bands = distance + 1
    # Another order of bytes: the lowest frequencies, which all faces share, would fill the first bands.
    words = np.ascontiguousarray(hashes[:, np.arange(32) * 13 % 32]).view(np.uint64)
    kin = np.arange(len(words)) if kin is None else kin
    edges = [round(256 * i / bands) for i in range(bands + 1)]
    earlier: list[NDArray[np.uint64]] = []
    for low, high in zip(edges, edges[1:], strict=False):
        key = _band(words, low, high)
        for first, second in _equal(key, kin):
            bits = np.bitwise_count(words[first] ^ words[second]).sum(1).astype(np.int16)
            ok = bits <= distance
            for other in earlier:  # found by an earlier band already
                ok &= other[first] != other[second]
            if ok.any():
                a, b = first[ok], second[ok]
                yield np.minimum(a, b), np.maximum(a, b), bits[ok]
        earlier.append(key)


def _band(words: NDArray[np.uint64], low: int, high: int) -> NDArray[np.uint64]:
    """One number for bits low..high-1 of each row: equal bits give equal numbers."""
    parts = [np.zeros(len(words), np.uint64)]
    for word in range(low // 64, (high - 1) // 64 + 1):
        start, end = max(low - 64 * word, 0), min(high - 64 * word, 64)
        mask = np.uint64(((1 << (end - start)) - 1) << start)
        # Odd multipliers, so that the sum of two words' parts is as good as both. A chance match costs a comparison.
        parts.append((words[:, word] & mask) * np.uint64(5308871522 * (word + 1) + 1))
    return np.sum(parts, axis=0, dtype=np.uint64)


def _equal(key: NDArray[np.uint64],
           kin: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:  # fmt: skip
    """Pairs of rows with an equal key that are not kin: each row with the next one beyond its kin, and so on."""
    order = np.lexsort((kin, key))
    keys, whose = key[order], kin[order]
    other_key = keys[1:] != keys[:-1]
    end = _ends(other_key)
    left, right = np.arange(len(key)), _ends(other_key | (whose[1:] != whose[:-1]))
    while len(left):
        inside = right < end[left]
        left, right = left[inside], right[inside]
        if len(left):
            yield order[left], order[right]
        right = right + 1


def _ends(change: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the end of its run, where `change` says between which rows a run ends."""
    ends = np.append(np.flatnonzero(change) + 1, len(change) + 1)
    return np.repeat(ends, np.diff(ends, prepend=0))


@dataclass
class Rows:
    """What of each record with a hash is compared, as parallel lists."""

    index: list[int] = field(default_factory=list)
    """Its place among all records."""
    id: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    subject: list[str | None] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    label: list[str | None] = field(default_factory=list)
    hash: list[bytes] = field(default_factory=list)


@dataclass
class Verdicts:
    """What near-identical pictures lead to."""

    dropped: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Place of a record -> reason and detail of its Drop."""
    counts: Counter[str] = field(default_factory=Counter)
    """Pairs by what they are, those that nothing is done about too."""


def hash_files(folders: Sequence[str]) -> list[Path]:
    """The files of other sets that hold their hashes.

    Raises:
        ConfigError: a folder is no set, or its pictures were not hashed.
    """
    paths = [Path(folder).expanduser() / HASHES for folder in folders]
    if missing := [str(path.parent) for path in paths if not path.is_file()]:
        raise ConfigError(f"against: no {HASHES} in {', '.join(missing)}; build that set first, with check_images on")
    return paths


def others(folders: Sequence[str]) -> tuple[list[str], Hashes]:
    """Names and hashes of the test and val pictures of other sets.

    Raises:
        ConfigError: see `hash_files`.
    """
    names: list[str] = []
    found: list[bytes] = []
    for folder, path in zip(folders, hash_files(folders), strict=True):
        table = pq.read_table(path).to_pydict()
        for name, split, code in zip(table["id"], table["split"], table["hash"], strict=True):
            if split in ("test", "val"):
                names.append(f"{split} record {name} of {folder}")
                found.append(code)
    return names, _array(found)


def _array(codes: Sequence[bytes]) -> Hashes:
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)


def settle(rows: Rows, distance: int, against: Sequence[str] = ()) -> Verdicts:
    """Decide about every record with a near-identical picture.

    Args:
        distance: bits (of 256) within which two pictures are the same.
        against: folders of other sets, whose test and val pictures must not be trained on.

    Raises:
        ConfigError: see `others`.
    """
    names, foreign = others(against)
    verdicts = Verdicts()
    pairs = _Pairs()
    # Thousands of copies of one picture (black frames) are one hash here, not millions of pairs.
    unique, group = np.unique(np.concatenate([_array(rows.hash), foreign]), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    starts = np.searchsorted(group.ravel()[order], np.arange(len(unique) + 1))

    def members(i: int) -> list[int]:
        return order[starts[i] : starts[i + 1]].tolist()

    for i in np.flatnonzero(np.diff(starts) > 1).tolist():
        same, first = members(i), _heads(members(i), rows)
        for a, b in ((a, b) for a in first for b in same if a < b or b not in first):
            _judge(a, b, 0, rows, verdicts.counts, pairs)
    for lefts, rights, bits in near(unique, distance, _kin(rows, len(names), order, starts)):
        for i, j, n in zip(lefts.tolist(), rights.tolist(), bits.tolist(), strict=True):
            one, two = members(i), members(j)
            first, others_first = _heads(one, rows), _heads(two, rows)
            for a, b in [*product(first, two), *product([a for a in one if a not in first], others_first)]:
                _judge(a, b, n, rows, verdicts.counts, pairs)
    for rank, gone, n, other in sorted(pairs.leaks):
        from_whom = rows.id[other] if other < len(rows.id) else names[other - len(rows.id)]
        _drop(gone, _LEAKS[rank], f"{n} bits from {from_whom}", rows, verdicts)
    _within_train(sorted(pairs.train), rows, verdicts)
    return verdicts


_LEAKS = ("near-duplicate of test", "near-duplicate of another set's test", "near-duplicate of val")
"""The worst comes first: it is the one that a dropped record names."""


@dataclass
class _Pairs:
    leaks: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Place in `_LEAKS`, the record that must go, bits, what it is alike."""
    train: list[tuple[int, int, int]] = field(default_factory=list)
    """First and second record, both in train, and bits."""


def _heads(members: Sequence[int], rows: Rows) -> list[int]:
    """Of records with one picture, the first in each split with each label: the others are held against these."""
    own = len(rows.hash)
    first = {(rows.split[i], rows.label[i]) if i < own else None: i for i in reversed(members)}
    return sorted(first.values())


def _kin(rows: Rows, foreign: int, order: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each different hash: the same for those that show only one person in one split, or other sets."""
    people: dict[tuple[str, str], int] = {}
    who = [-1 - i if subject is None else people.setdefault((split, subject), len(people))
           for i, (split, subject) in enumerate(zip(rows.split, rows.subject, strict=True))]  # fmt: skip
    number = np.array(who + [len(people)] * foreign, np.int64)[order]
    if not len(number):
        return number
    low, high = np.minimum.reduceat(number, starts[:-1]), np.maximum.reduceat(number, starts[:-1])
    return np.where(low == high, low, -1 - len(order) - np.arange(len(low)))


def _judge(a: int, b: int, bits: int, rows: Rows, counts: Counter[str], pairs: _Pairs) -> None:
    """Sort a pair of near-identical pictures into those that something is done about, and count it."""
    own = len(rows.hash)
    a, b = min(a, b), max(a, b)
    if a >= own:
        return  # both in other sets
    if b >= own:
        if rows.split[a] == "train":
            counts[_LEAKS[1]] += 1
            pairs.leaks.append((1, a, bits, b))
    elif rows.split[a] != rows.split[b]:
        kept, gone = sorted((a, b), key=lambda i: _RANK[rows.split[i]])
        rank = 0 if rows.split[kept] == "test" else 2
        counts[_LEAKS[rank]] += 1
        pairs.leaks.append((rank, gone, bits, kept))
    # One person looks alike by nature, and a picture may show several faces.
    elif (rows.subject[a] is None or rows.subject[a] != rows.subject[b]) and rows.media[a] != rows.media[b]:
        kept_too = "" if rows.split[a] == "train" else f" within {rows.split[a]}, kept"
        counts[("label conflict" if _conflict(a, b, rows) else "near-duplicate") + kept_too] += 1
        if not kept_too:
            pairs.train.append((a, b, bits))


def _conflict(a: int, b: int, rows: Rows) -> bool:
    return rows.label[a] != rows.label[b] and None not in (rows.label[a], rows.label[b])


def _within_train(pairs: Sequence[tuple[int, int, int]], rows: Rows, verdicts: Verdicts) -> None:
    """Drop what two annotators named differently; then copies, in the order of the records: of a chain a-b-c, where
    only neighbours are alike, b goes and c stays.
    """
    for a, b, bits in pairs:
        if _conflict(a, b, rows):
            for this, that in ((a, b), (b, a)):
                detail = f"{rows.label[this]} here, {rows.label[that]} in {rows.id[that]}, {bits} bits away"
                _drop(this, "label conflict", detail, rows, verdicts)
    for a, b, bits in pairs:
        if rows.index[a] not in verdicts.dropped:
            _drop(b, "near-duplicate", f"{bits} bits from {rows.id[a]}", rows, verdicts)


def _drop(i: int, reason: str, detail: str, rows: Rows, verdicts: Verdicts) -> None:
    verdicts.dropped.setdefault(rows.index[i], (reason, detail))
