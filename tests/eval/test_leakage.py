import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from eval.leakage import check, main
from eval.leaks.choice_on_test import caveats as chosen
from eval.leaks.hashes import HASHES, nearest
from eval.leaks.lineage import lineage
from eval.leaks.seen import faces_of
from eval.run import evaluate
from facevlm.checkpoint import write_facts
from facevlm.config import ConfigError
from facevlm.record import FaceRecord, RecordWriter, write_meta


def face(number, subject, split="train", media=None, source="raf"):
    return FaceRecord(id=f"f{number}", source=source, media=media or f"{number}.png", subject=subject, split=split)


def records(folder, faces, hashes=None, root=None):
    folder.mkdir()
    writer = RecordWriter(folder)
    writer.add(*faces)
    writer.flush()
    write_meta(folder, root)
    if hashes is not None:
        pq.write_table(pa.table({"id": [f.id for f in faces], "split": [f.split for f in faces],
                                 "hash": pa.array(hashes, pa.binary(32))}), folder / HASHES)  # fmt: skip
    return folder


def trained(folder, stage="sft", **config):
    folder.mkdir()
    write_facts(folder, stage=stage, base=config["model"])
    (folder / "config.yaml").write_text(yaml.safe_dump({"versions": {}, "config": {"split": "train", **config}}))
    return str(folder)


def flipped(code, bits):
    whole = np.unpackbits(np.frombuffer(code, np.uint8))
    whole[np.random.default_rng(bits).choice(256, bits, replace=False)] ^= 1
    return np.packbits(whole).tobytes()


CODES = [np.random.default_rng(i).bytes(32) for i in range(8)]


@pytest.fixture
def data(tmp_path):
    """Two people in train, one of them in test as well; one picture of train under another id in test."""
    faces = [face(0, "ann"), face(1, "ben"), face(2, "ann", "test"), face(3, "cem", "test"),
             face(4, None, "test", media="1.png"), face(5, "dan", "test")]  # fmt: skip
    return records(tmp_path / "data", faces, [*CODES[:5], flipped(CODES[0], 9)])


# -- the chain


def test_the_chain_goes_back_to_the_base(tmp_path, data):
    sft = trained(tmp_path / "sft", model="tiny", records=str(data), limit=1)
    grpo = trained(tmp_path / "grpo", "grpo", model=sft, records=str(data))
    assert [(s.kind, s.split, s.limit, s.unknown) for s in lineage(grpo)] == [
        ("grpo", "train", None, None), ("sft", "train", 1, None), ("embedded", None, None, None)]  # fmt: skip


def test_a_checkpoint_is_of_its_run(tmp_path, data):
    sft = trained(tmp_path / "sft", model="tiny", records=str(data))
    Path(sft, "checkpoint-20").mkdir()
    assert lineage(f"{sft}/checkpoint-20")[0].records == str(data)


def test_what_no_file_tells_is_said(tmp_path):
    (stage,) = lineage("Qwen/Qwen3-VL-4B-Instruct")
    assert stage.unknown is not None and "no file tells" in stage.unknown
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "tiny"}))
    adapter, base = lineage(str(tmp_path / "bare"))
    assert "has no config.yaml" in str(adapter.unknown) and base.kind == "embedded"


def test_a_chain_that_bites_its_tail_ends(tmp_path, data):
    assert len(lineage(trained(tmp_path / "a", model=str(tmp_path / "a"), records=str(data)))) <= 100


# -- the comparison


def test_ids_people_and_files_are_found(tmp_path, data):
    model = trained(tmp_path / "sft", model="tiny", records=str(data))
    found = check(model, faces_of(str(data), "test"))
    stage = found["stages"][0]
    assert (stage["n"], stage["ids"], stage["people"], stage["faces_of_these_people"]) == (2, 0, 1, 1)
    assert stage["files"] == 1 and stage["examples"]["files"] == ["f4"]
    assert stage["near_duplicates"] == 1 and stage["near_examples"] == ["f5 and f0, 9 bits apart"]
    assert len(found["leaks"]) == 3 and "of 1 people" in found["leaks"][0] and found["unknown"] == []


def test_training_on_the_test_is_found_through_every_stage(tmp_path, data):
    sft = trained(tmp_path / "sft", model="tiny", records=str(data), split="test")
    grpo = trained(tmp_path / "grpo", "grpo", model=sft, records=str(data))
    found = check(grpo, faces_of(str(data), "test"), distance=None)
    assert any(text.startswith("sft on") and "4 test faces were trained on" in text for text in found["leaks"])
    assert "near_duplicates" not in found["stages"][0]


def test_only_the_rows_that_were_taken_count(tmp_path, data):
    both = check(trained(tmp_path / "a", model="tiny", records=str(data)), faces_of(str(data), "train"))
    first = check(trained(tmp_path / "b", model="tiny", records=str(data), limit=1), faces_of(str(data), "train"))
    assert (both["stages"][0]["ids"], first["stages"][0]["ids"]) == (2, 1)


def test_the_same_id_in_another_source_is_another_face(tmp_path, data):
    other = records(tmp_path / "other", [face(0, "ann", "test", media="other.png", source="affectnet")])
    found = check(trained(tmp_path / "sft", model="tiny", records=str(data)), faces_of(str(other), "test"), None)
    assert found["leaks"] == []


def test_pairs_of_answers_lead_to_their_records(tmp_path, data):
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    pq.write_table(pa.table({"record_id": ["f1", "f1"]}), pairs / "pairs.parquet")
    (pairs / "config.yaml").write_text(yaml.safe_dump({"config": {"records": str(data), "split": "train"}}))
    model = trained(tmp_path / "dpo", "dpo", model="tiny", pairs=str(pairs))
    assert check(model, faces_of(str(data), "train"))["stages"][0]["ids"] == 1


def test_what_cannot_be_compared_is_said_and_not_counted_as_nothing(tmp_path, data):
    plain = records(tmp_path / "plain", [face(8, None, "test")])
    found = check(trained(tmp_path / "a", model="Qwen/base", records=str(data)), faces_of(str(plain), "test"))
    assert found["stages"][0]["near_duplicates"] is None and found["stages"][0]["people"] is None
    assert any("check_images off" in text for text in found["unknown"])
    assert any("people were not compared" in text for text in found["unknown"])
    assert any("no file tells" in text for text in found["unknown"])
    gone = check(trained(tmp_path / "b", model="tiny", records=str(tmp_path / "gone")), faces_of(str(plain), "test"))
    assert gone["leaks"] == [] and "holds no records (any more)" in gone["unknown"][0]


def test_the_nearest_hash_is_the_nearest():
    rng = np.random.default_rng(0)
    base = rng.bytes(32)
    theirs = [flipped(base, bits) for bits in (14, 3, 9)] + [rng.bytes(32) for _ in range(300)]
    ours = [base, *(rng.bytes(32) for _ in range(50))]
    a, b = (np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32) for codes in (ours, theirs))
    found = nearest(a, b, 15)
    assert (found.place[0], found.bits[0]) == (1, 3) and (found.place[1:] == -1).all()
    # All pairs, one by one.
    apart = np.unpackbits(a[:, None] ^ b[None], axis=2).sum(2)
    assert apart[0].argmin() == 1 and apart[1:].min() > 15
    assert nearest(a, b[:1], 13).place[0] == -1 and nearest(a, b[:1], 14).place[0] == 0


@pytest.mark.parametrize("bits", [0, 12, 15])
def test_every_hash_within_the_distance_is_found(bits):
    rng = np.random.default_rng(7)
    ours = [rng.bytes(32) for _ in range(200)]
    theirs = [flipped(code, bits) for code in ours]
    a, b = (np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32) for codes in (ours, theirs))
    found = nearest(a, b, bits)
    assert (found.place == np.arange(200)).all() and (found.bits == bits).all()


def test_a_distance_that_could_be_missed_is_refused():
    with pytest.raises(ValueError, match="0 to 15"):
        nearest(np.zeros((1, 32), np.uint8), np.zeros((1, 32), np.uint8), 16)


# -- the command, and what eval.run does by itself


def test_the_command_ends_with_1_where_something_leaks(tmp_path, data, capsys):
    model = trained(tmp_path / "sft", model="tiny", records=str(data))
    with pytest.raises(SystemExit) as stop:
        main(["--model", model, "--records", str(data), f"out={tmp_path / 'out'}"])
    assert stop.value.code == 1
    said = capsys.readouterr().out
    assert f"{model} <- tiny" in said and "leak: sft on" in said
    assert json.loads((tmp_path / "out" / "leakage.json").read_text())["n"] == 4
    clean = records(tmp_path / "clean", [face(9, "eva", "test")], [CODES[7]])
    main(["--model", model, "--records", str(clean)])
    assert "no leak found for 1 test faces" in capsys.readouterr().out


def test_an_empty_split_is_refused(tmp_path, data):
    model = trained(tmp_path / "sft", model="tiny", records=str(data))
    with pytest.raises(SystemExit, match="nothing to compare"):
        main(["--model", model, "--records", str(data), "split=val"])
    with pytest.raises(ConfigError, match="holds no records"):
        faces_of(str(tmp_path / "nowhere"), None)


def test_a_run_says_that_its_model_was_trained_on_the_test(made, config, oracle, tmp_path):
    model = trained(tmp_path / "sft", model="tiny", records=str(made[0]), split="test")
    summary = evaluate(config(model=model), oracle())
    assert "24 test faces were trained on" in summary["caveats"][0]
    assert summary["leakage"]["stages"][0]["people"] == 12
    fresh = evaluate(config(model="scripted", out=str(tmp_path / "fresh")), oracle())
    assert fresh["leakage"]["leaks"] == [] and "no file tells" in fresh["leakage"]["unknown"][0]


def test_several_checkpoints_on_one_test_are_told(tmp_path):
    def scored(name, model, split="test", digest="d"):
        (tmp_path / "eval" / name).mkdir(parents=True)
        (tmp_path / "eval" / name / "run.json").write_text(json.dumps(
            {"fingerprint": {"records": digest}, "config": {"model": model, "split": split}}))  # fmt: skip

    for step in (10, 20):
        (tmp_path / "sft" / f"checkpoint-{step}").mkdir(parents=True)
        scored(f"s{step}", str(tmp_path / "sft" / f"checkpoint-{step}"))
    scored("other", str(tmp_path / "grpo"))
    scored("val", str(tmp_path / "sft"), split="val")
    scored("elsewhere", str(tmp_path / "sft"), digest="e")
    out = tmp_path / "eval" / "s10"
    (said,) = chosen(out, str(tmp_path / "sft" / "checkpoint-10"), "test", "test", "d")
    assert said.startswith("2 checkpoints of") and "checkpoint-20" in said and "choose on val" in said
    assert chosen(out, str(tmp_path / "grpo"), "test", "test", "d") == []
    assert chosen(out, str(tmp_path / "sft"), "val", "test", "d") == []
