import importlib.util
import io
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from data_builders import export, lmms_task, outgoing
from data_builders.exports import FORMATS, conversations, lmms_eval, parquet
from facevlm import config as configs
from facevlm import mix
from facevlm.answer import parse
from facevlm.config import ConfigError
from facevlm.images import canonical_landmarks, load_face
from facevlm.prompts import to_example
from facevlm.record import FaceRecord, RecordWriter, read, write_meta
from facevlm.tasks import TASKS

HERE = Path(__file__).parents[2]
FACE = FaceRecord(
    "a", "synthetic", "a.png", split="train", subject="p", emotion="fear", label_set="basic7", valence=-0.4,
    arousal=0.6, aus={1: 3, 4: 0, 12: 1}, au_threshold=2, rationale="Inner brow raiser (AU1). This is fear.",
    rationale_by="test", licence="CC0-1.0", emotion_words=("afraid", "tense"), attributes={"age": "31"},
)  # fmt: skip

Made = Callable[..., Path]
Make = Callable[..., export.Config]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A folder of records with a picture for each path; `pictures` are there already."""

    def write(*records: FaceRecord, draw: bool = True) -> Path:
        folder, root = tmp_path / "records", tmp_path / "set"
        folder.mkdir()
        for record in records:
            for name in (*record.pictures, *([record.before] if record.before else [])):
                path = root / name
                if draw and not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.new("RGB", (40, 32), (len(name) * 9 % 256, 40, 90)).save(path)
        writer = RecordWriter(folder)
        writer.add(*records)
        writer.flush()
        write_meta(folder, root)
        return folder

    return write


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A config into tmp_path/out."""

    def config(records: Path, form: str = "ms-swift", **keys: Any) -> export.Config:
        return export.Config(**{"records": str(records), "out": str(tmp_path / "out"), "format": form, **keys})

    return config


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# -- ms-swift and LLaMA-Factory


def broken(row: dict[str, Any]) -> list[str]:
    """What ms-swift 4.6 or LLaMA-Factory 0.9.5 would drop or stop at, by their own rules."""
    found = []
    roles = [message["role"] for message in row["messages"]]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        found.append(f"roles {roles} do not alternate from user to assistant")
    if any(not isinstance(message["content"], str) or not message["content"] for message in row["messages"]):
        found.append("a content is no text")
    if any(set(message) != {"role", "content"} for message in row["messages"]):
        found.append("a message has other keys")
    tags = sum(message["content"].count("<image>") for message in row["messages"])
    if tags != len(row["images"]) or "<image>" in row["messages"][-1]["content"]:
        found.append(f"{tags} tags for {len(row['images'])} images")
    if any(tag in message["content"] for message in row["messages"] for tag in conversations.RESERVED[1:]):
        found.append("a text holds a tag that is replaced")
    taken = {"system", "tools", "objects", "label", "channel", "margin", "videos", "audios", "query", "response",
             "rejected_response", "questions", "kinds", "options", "state", "criteria"}  # fmt: skip
    found += [f"column {name} means something else there" for name in taken & set(row)]
    return found + [f"no picture {path}" for path in row["images"] if not Path(path).is_file()]


def test_conversations_keep_the_rules_of_both_trainers(records: Path, make: Make) -> None:
    given = export.export(make(records, tasks={"explain": 2, "au": 1, "valence_arousal": 1}, per_record=2))
    rows = lines(given.out / "train.jsonl")
    assert len(rows) == 48 and {row["task"] for row in rows} == {"explain", "au", "valence_arousal"}
    assert [fault for row in rows for fault in broken(row)] == []
    assert len(lines(given.out / "test.jsonl")) == 16 and not (given.out / "val.jsonl").exists()


def test_a_conversation_is_the_row_that_facevlm_trains_on(made: Made, make: Make, tmp_path: Path) -> None:
    export.export(make(made(FACE), tasks={"label": 1}, seed=3))
    row = to_example(FACE, [], "label", 3)
    assert lines(tmp_path / "out" / "train.jsonl") == [{
        "messages": [{"role": "user", "content": "<image>" + row["prompt"][0]["content"]}, row["completion"][0]],
        "images": [str(tmp_path / "set" / "a.png")], "record_id": "a", "source": "synthetic", "task": "label",
    }]  # fmt: skip


def test_dataset_info_says_how_llama_factory_reads_the_files(made: Made, make: Make, tmp_path: Path) -> None:
    export.export(make(made(FACE), "llama-factory"))
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert info == {"out_train": {
        "file_name": "train.jsonl", "formatting": "sharegpt", "columns": {"messages": "messages", "images": "images"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                 "system_tag": "system"},
    }}  # fmt: skip


def test_clips_and_pictures_before_become_several_images_in_order(made: Made, make: Make, tmp_path: Path) -> None:
    clip = replace(FACE, media="clip", frames=("clip/1.png", "clip/2.png"), before="n.png", box=(1, 1, 9, 9))
    export.export(make(made(clip), tasks={"change": 1}))
    (row,) = lines(tmp_path / "out" / "train.jsonl")
    assert [Path(path).name for path in row["images"]] == ["n.png", "1.png", "2.png"] and broken(row) == []


def test_a_text_with_a_trainers_tag_is_left_out_and_counted(made: Made, make: Make, tmp_path: Path) -> None:
    bad = replace(FACE, id="b", media="b.png", caption="She <image> smiles.")
    folder = made(replace(FACE, caption="She smiles."), bad)
    given = export.export(make(folder, tasks={"description": 1}))
    assert [row["record_id"] for row in lines(tmp_path / "out" / "train.jsonl")] == ["a"]
    assert given.left_out.total() == 1 and "holds a tag" in (tmp_path / "out" / "README.md").read_text()


# -- what is asked


def test_training_rows_are_drawn_and_balanced_as_in_sft_and_others_are_not(records: Path, make: Make) -> None:
    given = export.export(make(records, tasks={"label": 1}, balance=1.0, seed=5))
    found = read(records, "train").records
    assert given.rows["train"] == mix.mix(found, {"label": 1}, 5, 1, 1.0) != [(record, "label") for record in found]
    assert given.rows["test"] == [(record, "label") for record in read(records, "test").records]
    first = {row["messages"][0]["content"] for row in lines(given.out / "test.jsonl")}
    assert len(first) == 1 and len({row["messages"][0]["content"] for row in lines(given.out / "train.jsonl")}) == 3


def test_records_that_cannot_be_asked_are_counted(made: Made, make: Make, tmp_path: Path) -> None:
    bare = replace(FACE, id="b", media="b.png", emotion=None)
    given = export.export(make(made(FACE, bare), tasks={"label": 1}))
    assert given.left_out == {"has no label that task 'label' asks for": 1}
    assert "has no label that task 'label' asks for" in (tmp_path / "out" / "README.md").read_text()


def test_splits_and_limit(records: Path, make: Make, tmp_path: Path) -> None:
    given = export.export(make(records, splits=["train"], limit=3, tasks={"label": 1}))
    assert len(lines(given.out / "train.jsonl")) == 3
    assert {p.name for p in given.out.iterdir()} == {"README.md", "config.yaml", "dataset_info.json", "train.jsonl"}


def test_the_same_config_gives_the_same_bytes(records: Path, make: Make, tmp_path: Path) -> None:
    for form, file in (("trl", "data/train-00000.parquet"), ("ms-swift", "train.jsonl")):
        one, two = (export.export(make(records, form, out=str(tmp_path / form / name))).out for name in "ab")
        assert (one / file).read_bytes() == (two / file).read_bytes()


# -- pictures


def exif(path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((40, 32)).convert("RGB").save(path, exif=tags)


def test_what_other_trainers_would_show_otherwise_is_refused_by_reason(
        made: Made, make: Make, tmp_path: Path) -> None:  # fmt: skip
    exif(tmp_path / "set" / "turned.jpg")
    Image.new("RGBA", (32, 32)).save(tmp_path / "set" / "glass.png")
    Image.new("I;16", (32, 32)).save(tmp_path / "set" / "deep.png")
    (tmp_path / "set" / "v.mp4").write_bytes(b"video")
    names = ("a.png", "turned.jpg", "glass.png", "deep.png", "plain.png")
    faces = [replace(FACE, id=name, media=name, box=(2, 2, 20, 20) if name == "a.png" else None) for name in names]
    for face in faces:
        if not (tmp_path / "set" / face.media).exists():
            Image.new("RGB", (40, 32)).save(tmp_path / "set" / face.media)
    folder = made(*faces, replace(FACE, id="v", media="v.mp4#t=1.5"), draw=False)
    reasons = "face box 1, turned by EXIF 1, transparent 1, more than 8 bit 1, frame of a video 1"
    with pytest.raises(ConfigError, match=f"5 pictures .*{reasons}.*crops=true"):
        export.export(make(folder, tasks={"label": 1}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["ms-swift", "hub"])
def test_crops_are_the_pictures_that_facevlm_shows(made: Made, make: Make, tmp_path: Path, form: str) -> None:
    exif(tmp_path / "set" / "turned.jpg")
    noise = Image.effect_noise((60, 50), 90).convert("RGB")
    noise.save(tmp_path / "set" / "a.png")
    boxed = replace(FACE, box=(10, 10, 30, 30))
    folder = made(boxed, replace(FACE, id="b", media="turned.jpg"), replace(FACE, id="c", media="plain.png"))
    given = export.export(make(folder, form, crops=True, tasks={"label": 1}))
    if form == "hub":
        rows = pq.read_table(given.out / "data").to_pylist()
        shown = [Image.open(io.BytesIO(row["images"][0]["bytes"])) for row in rows]
        assert [row["images"][0]["path"] for row in rows] == ["face.png", "face.png", "plain.png"]
        assert not (given.out / "images").exists()
    else:
        shown = [Image.open(row["images"][0]) for row in lines(given.out / "train.jsonl")]
        assert len(list((given.out / "images").iterdir())) == 2
    root = tmp_path / "set"
    wanted = [load_face(root / "a.png", boxed.box), load_face(root / "turned.jpg"), load_face(root / "plain.png")]
    assert [picture.tobytes() for picture in shown] == [picture.tobytes() for picture in wanted]
    assert shown[1].size == (32, 40)
    text = (given.out / "README.md").read_text()
    assert "2 pictures were written anew" in text and "do not pass them on" in " ".join(text.split())


def test_the_box_is_of_the_records_own_picture_alone(made: Made, make: Make, tmp_path: Path) -> None:
    folder = made(replace(FACE, before="n.png", box=(2, 2, 20, 20)))
    given = export.export(make(folder, tasks={"change": 1}, crops=True))
    (row,) = lines(given.out / "train.jsonl")
    assert row["images"] == [str(tmp_path / "set" / "n.png"), str(given.out / "images" / "00000000.png")]
    with Image.open(row["images"][1]) as face:
        assert face.size == (27, 27)  # 18 and a quarter of it on either side


def test_a_box_outside_its_picture_stops_the_export(made: Made, make: Make, tmp_path: Path) -> None:
    folder = made(replace(FACE, box=(100, 100, 130, 130)))
    with pytest.raises(ConfigError, match="bad face box"):
        export.export(make(folder, crops=True))
    assert not (tmp_path / "out").exists()


def test_crops_of_all_chunks_are_written_also_by_another_process(made: Made, tmp_path: Path) -> None:
    made(FACE)
    pictures = [(str(tmp_path / "set" / "a.png"), (2.0, 2.0, 20.0 + i / 100, 20.0)) for i in range(130)]
    outgoing.copy(pictures, tmp_path / "images", "test")
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == [outgoing.file_name(i) for i in range(130)]
    (tmp_path / "again").mkdir()
    pickle.loads(pickle.dumps(outgoing.Copier(pictures, tmp_path / "again")))(2)  # noqa: S301 (our own bytes)
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [outgoing.file_name(i) for i in (128, 129)]


def test_a_missing_picture_stops_the_export(made: Made, make: Make, tmp_path: Path) -> None:
    folder = made(FACE, replace(FACE, id="b", media="b.png"))
    (tmp_path / "set" / "b.png").unlink()
    with pytest.raises(ConfigError, match=r"1 of 2 pictures cannot be read.*b\.png"):
        export.export(make(folder, tasks={"label": 1}))
    assert not (tmp_path / "out").exists()


def test_paths_may_be_relative(made: Made, make: Make, tmp_path: Path) -> None:
    folder = made(replace(FACE, media="deep/a.png"))
    for root, wanted in ((None, "deep/a.png"), (tmp_path, "set/deep/a.png")):
        out = tmp_path / f"to-{root is None}"
        keys = {} if root is None else {"media_root": str(root)}
        export.export(make(folder, paths="relative", out=str(out), **keys))
        assert lines(out / "train.jsonl")[0]["images"] == [wanted]
        text = (out / "README.md").read_text()
        start = root or tmp_path / "set"
        assert f"ROOT_IMAGE_DIR={start} swift" in text and f"media_dir: {start}" in text
    with pytest.raises(ConfigError, match="not below media_root"):
        export.export(make(folder, paths="relative", media_root=str(tmp_path / "records")))


def test_relative_paths_of_crops_start_above_both_folders(made: Made, make: Make, tmp_path: Path) -> None:
    folder = made(replace(FACE, box=(2, 2, 20, 20)), replace(FACE, id="b", media="b.png"))
    export.export(make(folder, paths="relative", crops=True, tasks={"label": 1}))
    images = [row["images"][0] for row in lines(tmp_path / "out" / "train.jsonl")]
    assert images == ["out/images/00000000.png", "set/b.png"] and all((tmp_path / name).is_file() for name in images)


# -- TRL


def test_the_columns_are_all_that_a_training_row_has(made: Made) -> None:
    assert set(to_example(FACE, [""], "label")) | {"licence"} == set(parquet.COLUMNS)


@pytest.fixture(scope="module")
def trl(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export for TRL. Read only."""
    out = tmp_path_factory.mktemp("exports") / "trl"
    tasks = {"explain": 1.0, "au": 1.0}
    return export.export(export.Config(str(records), str(out), "trl", tasks=tasks, per_record=2)).out


def test_datasets_reads_the_folder_as_it_is(trl: Path, records: Path, tmp_path: Path) -> None:
    from datasets import Image as Picture
    from datasets import List, load_dataset

    data = load_dataset(str(trl), cache_dir=str(tmp_path))
    assert set(data) == {"train", "test"} and data["train"].features["images"] == List(Picture())
    assert len(data["train"]) == 48
    face = {record.id: record for record in read(records).records}[data["train"][0]["record_id"]]
    row, wanted = data["train"][0], to_example(face, [], data["train"][0]["task"], 0)
    assert {k: v for k, v in row.items() if k not in ("images", "licence")} == {
        k: v for k, v in wanted.items() if k != "images"}  # fmt: skip
    assert row["images"][0].size == (64, 64)


@pytest.mark.slow
def test_sft_of_trl_takes_the_rows_and_learns_the_answer_alone(trl: Path, tiny_model: Path, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    from facevlm.model import load_model, load_processor

    data = load_dataset(str(trl), cache_dir=str(tmp_path / "cache"))["train"]
    processor = load_processor(str(tiny_model))
    args = SFTConfig(str(tmp_path / "run"), max_length=None, max_steps=1, per_device_train_batch_size=2,
                     report_to="none", use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
                     dataloader_pin_memory=False)  # fmt: skip
    trainer = SFTTrainer(load_model(str(tiny_model)), args=args, train_dataset=data, processing_class=processor)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    learnt = processor.tokenizer.decode(batch["input_ids"][0][batch["labels"][0] != -100])
    assert learnt.strip() == data[0]["completion"][0]["content"] + "<|im_end|>"
    assert "pixel_values" in batch and trainer.train().training_loss > 0


# -- the Hub


def test_the_hub_gets_the_pictures_and_no_folder_of_this_machine(made: Made, make: Make, tmp_path: Path) -> None:
    faces = [replace(FACE, id=name, media=f"{name}.png", split=split)
             for name, split in (("a", "train"), ("b", "val"), ("c", "test"))]  # fmt: skip
    given = export.export(make(made(*faces), "hub", tasks={"label": 1}))
    (row,) = pq.read_table(given.out / "data" / "val-00000.parquet").to_pylist()
    assert row["images"] == [{"bytes": (tmp_path / "set" / "b.png").read_bytes(), "path": "b.png"}]
    for path in given.out.rglob("*"):
        if path.is_file() and path.name != "config.yaml":
            assert str(tmp_path).encode() not in path.read_bytes(), path
    _, front, text = (given.out / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["license"] == "cc0-1.0" and "must not be used for" in text
    assert [entry["split"] for entry in card["configs"][0]["data_files"]] == ["train", "validation", "test"]


def test_the_hubs_pictures_load(made: Made, make: Make, tmp_path: Path) -> None:
    from datasets import load_dataset

    given = export.export(make(made(FACE), "hub", tasks={"label": 1}))
    data = load_dataset(str(given.out), cache_dir=str(tmp_path / "cache"), split="train")
    with Image.open(tmp_path / "set" / "a.png") as wanted:
        assert data[0]["images"][0].tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("face", "says"), [
    ({"source": "rafdb", "licence": "research only"}, r"rafdb \(research only\), 1 records: may not be passed on"),
    ({"source": "mine", "licence": "CC0-1.0"}, r"mine \(CC0-1.0\), 1 records: is no source that facevlm knows"),
    ({"source": "table", "licence": "CC0-1.0"}, "may not be passed on"),
    ({"source": "fairface", "licence": "unknown"}, "says another licence than CC-BY-4.0"),
])  # fmt: skip
def test_one_record_that_may_not_be_passed_on_stops_the_hub_before_anything_is_written(
        made: Made, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: dict[str, str],
        says: str) -> None:  # fmt: skip
    folder = made(FACE, replace(FACE, id="b", **face))
    monkeypatch.setattr(export.record, "whole_folder", lambda target: pytest.fail("a folder was begun"))
    with pytest.raises(ConfigError, match=says):
        export.export(make(folder, "hub", push="me/faces", tasks={"label": 1}))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The calls that would have gone to the Hub."""
    import huggingface_hub

    calls: list[tuple[str, dict[str, Any]]] = []

    class Api:
        def create_repo(self, name: str, **keys: Any) -> None:
            calls.append((name, keys))

        def upload_folder(self, **keys: Any) -> None:
            calls.append((keys["repo_id"], keys))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return calls


def test_a_push_is_private_and_leaves_the_config_at_home(
        made: Made, make: Make, tmp_path: Path, hub: list[tuple[str, dict[str, Any]]]) -> None:  # fmt: skip
    export.export(make(made(FACE), "hub", push="me/faces", tasks={"label": 1}))
    (name, create), (_, upload) = hub
    assert name == "me/faces" and create["private"] and create["repo_type"] == upload["repo_type"] == "dataset"
    assert upload["folder_path"] == tmp_path / "out" and upload["ignore_patterns"] == ["config.yaml"]
    assert 'load_dataset("me/faces")' in (tmp_path / "out" / "README.md").read_text()


def test_a_push_that_fails_leaves_the_folder_and_says_what_to_do(
        made: Made, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(ConfigError, match=r"no route\n.*hf upload me/faces"):
        export.export(make(made(FACE), "hub", push="me/faces", tasks={"label": 1}))
    assert (tmp_path / "out" / "data" / "train-00000.parquet").is_file()


# -- lmms-eval


def module(path: Path) -> ModuleType:
    """A file loaded by its path, as lmms-eval does it."""
    spec = importlib.util.spec_from_file_location("utils", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def task(folder: Path, name: str) -> dict[str, Any]:
    """A task's YAML with its !function entries as the functions themselves."""

    class Loader(yaml.SafeLoader):
        pass

    utils = module(folder / "utils.py")
    def function(loader: Loader, node: yaml.ScalarNode) -> Any:
        return getattr(utils, str(loader.construct_scalar(node)).removeprefix("utils."))

    Loader.add_constructor("!function", function)
    return yaml.load((folder / f"{name}.yaml").read_text(), Loader=Loader)  # noqa: S506 (a SafeLoader)


def scores(config: dict[str, Any], docs: list[dict[str, Any]], said: list[str]) -> dict[str, float]:
    """As lmms-eval scores: each answer, then each metric over what the answers gave."""
    items: dict[str, list[Any]] = {}
    for doc, text in zip(docs, said, strict=True):
        for name, item in config["process_results"](doc, [text]).items():
            items.setdefault(name, []).append(item)
    return {entry["metric"]: entry["aggregation"](items[entry["metric"]]) for entry in config["metric_list"]}


SCORED = [name for name, known in TASKS.items() if known.form.kind != "text"]
FULL = replace(
    FACE, split="test", before="n.png", attributes={"age": "31", "gender": "female", "engagement": "2", "pain": "3",
                                                    "smiling": "yes", "eyeglasses": "no", "age_group": "30-39",
                                                    "beauty": "3.25", "ambivalence": "yes",
                                                    "intensity of awe": "2.5"},
    landmarks=tuple((x, y) for x, y in canonical_landmarks((0, 0, 32, 32)).tolist()), size=(40, 32),
    emotion_probs={"fear": 0.8, "surprise": 0.2},
)  # fmt: skip


@pytest.mark.parametrize("name", SCORED)
def test_a_task_of_lmms_eval_gives_full_marks_to_right_answers_and_none_to_noise(
        made: Made, make: Make, tmp_path: Path, name: str) -> None:  # fmt: skip
    first = FULL
    if name == "compound":
        first = replace(FULL, label_set="rafdb-compound", emotion="happily surprised")
    if name == "real_fake":
        first = replace(FULL, emotion=None, aus={}, attributes={"authenticity": "fake"})
    other = replace(first, id="b", subject=None, valence=0.5, arousal=-0.2)
    given = export.export(make(made(first, other), "lmms-eval", tasks={name: 1}))
    config, docs = task(given.out, name), pq.read_table(given.out / f"{name}.parquet").to_pylist()
    assert config["task"] == f"out_{name}" and config["reasoning_tags"] == "none" and len(docs) == 2
    assert config["dataset_kwargs"]["data_files"] == {"test": f"{name}.parquet"}
    assert all(len(config["doc_to_visual"](doc)) == (2 if name == "change" else 1) for doc in docs)
    assert [config["doc_to_text"](doc) for doc in docs] == [
        to_example(face, [], name)["prompt"][0]["content"] for face in (first, other)]  # fmt: skip
    best = scores(config, docs, [config["doc_to_target"](doc) for doc in docs])
    worst = scores(config, docs, ["I cannot say."] * 2)
    better = {entry["metric"]: entry["higher_is_better"] for entry in config["metric_list"]}
    assert best == pytest.approx({metric: float(higher) for metric, higher in better.items()})
    assert worst["parse_failure_rate"] == 1
    assert all((worst[metric] < 0.3) if higher else (worst[metric] > 1 or metric == "parse_failure_rate")
               for metric, higher in better.items())  # fmt: skip


def test_lmms_eval_reads_answers_as_facevlm_does(made: Made, make: Make) -> None:
    given = export.export(make(made(FULL), "lmms-eval", tasks={"explain": 1, "au_intensity": 1}))
    config, (doc,) = task(given.out, "explain"), pq.read_table(given.out / "explain.parquet").to_pylist()
    text = "<think>why</think><au>AU1, AU12, AU25</au><answer>sadness</answer>"
    items = config["process_results"](doc, [text])
    assert not parse(text).faults and items["parse_failure_rate"] == {"score": 0, "subject": "synthetic/p"}
    assert items["accuracy"]["score"] == 0
    assert items["au_set_f1"]["score"] == pytest.approx(2 / 3)  # AU25 is not labelled: it neither helps nor harms
    # By DISFA's rule AU12 at 1 is absent, and so is one that is named with a letter below the threshold.
    (doc,) = pq.read_table(given.out / "au_intensity.parquet").to_pylist()
    items = task(given.out, "au_intensity")["process_results"](doc, ["<au>AU1:C, AU12:A</au>"])
    assert items["au_set_f1"]["score"] == 1


def test_a_protocol_holds_the_aus_and_the_threshold(made: Made, make: Make, tmp_path: Path) -> None:
    face = replace(FULL, aus={1: 1, 4: 3, 7: 4, 12: 2}, au_threshold=1)
    given = export.export(make(made(face), "lmms-eval", tasks={"au": 1}, au_protocol="DISFA-8"))
    (doc,) = pq.read_table(given.out / "au.parquet").to_pylist()
    # AU7 is none of the eight, and AU1 at intensity 1 is absent in DISFA.
    assert (doc["labelled_aus"], doc["aus"], doc["au_threshold"]) == ([1, 4, 12], [4, 12], 2)
    assert doc["answer"] == "<au>AU4, AU12</au>"
    with pytest.raises(ConfigError, match="au_protocol is 'DISFA8'; known: BP4D-12, DISFA-8"):
        make(tmp_path, au_protocol="DISFA8")


@pytest.mark.parametrize("path", sorted(Path("configs/export").glob("lmms-*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_tasks_are_the_headline_protocols(made: Made, path: Path, tmp_path: Path) -> None:
    face = replace(FULL, label_set="rafdb", emotion="sadness", valence=0.5, arousal=0.1)
    config = configs.load(export.Config, "", ["--config", str(path), f"records={made(face)}", f"out={tmp_path / 'x'}"])
    given = export.export(config)
    assert [task(given.out, name)["test_split"] for name in config.tasks] == ["test"] * len(config.tasks)


def test_an_unreadable_number_is_the_farther_end(made: Made, make: Make) -> None:
    given = export.export(make(made(FULL), "lmms-eval", tasks={"age": 1}))
    config, (doc,) = task(given.out, "age"), pq.read_table(given.out / "age.parquet").to_pylist()
    assert scores(config, [doc], ["old"])["mae"] == 120 - 31
    assert scores(config, [doc], ["<answer>35</answer>"])["mae"] == 4


def test_lmms_eval_sees_the_face_that_facevlm_sees(made: Made, make: Make, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    (tmp_path / "set").mkdir()
    Image.effect_noise((60, 50), 90).convert("RGB").save(tmp_path / "set" / "a.png")
    face = replace(FULL, box=(10, 10, 30, 30), before=None)
    given = export.export(make(made(face), "lmms-eval", tasks={"au": 1}, paths="relative"))
    monkeypatch.setenv("FACEVLM_MEDIA_ROOT", str(tmp_path / "set"))
    config, (doc,) = task(given.out, "au"), pq.read_table(given.out / "au.parquet").to_pylist()
    (shown,) = config["doc_to_visual"](doc)
    assert doc["images"] == ["a.png"]
    assert shown.tobytes() == load_face(tmp_path / "set" / "a.png", face.box).tobytes()


def test_every_metric_of_a_task_has_its_function() -> None:
    for name in SCORED:
        for metric, aggregation in lmms_eval.metrics(name):
            assert callable(getattr(lmms_task, aggregation)), metric


@pytest.mark.parametrize(("keys", "says"), [
    ({"tasks": {"description": 1}}, "no metric"), ({"balance": 0.5}, "for training"),
    ({"per_record": 2}, "for training"), ({"splits": ["val", "test"]}, "one split"),
    ({"splits": ["train"]}, "no records in split train"), ({"push": "a/b"}, "only hub"),
])  # fmt: skip
def test_lmms_eval_refuses_what_makes_no_test(made: Made, make: Make, keys: dict[str, Any], says: str) -> None:
    folder = made(replace(FULL, caption="A face."), replace(FULL, id="b", split="val"))
    with pytest.raises(ConfigError, match=says):
        export.export(make(folder, "lmms-eval", **{"tasks": {"label": 1}, **keys}))


def test_a_set_without_a_test_split_needs_one_named(made: Made, make: Make) -> None:
    with pytest.raises(ConfigError, match="no records in split test; it has train: name one"):
        export.export(make(made(FACE), "lmms-eval", tasks={"label": 1}))


# -- the command


def command(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as e:
        export.main([*argv])
    assert e.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(("items", "says"), [
    (["records={0}/none"], "holds no records"),
    (["format=csv"], "unknown format 'csv'; known: trl, ms-swift"),
    (["tasks.hair=1"], "tasks.hair: unknown"),
    (["balance=2", "limit=0", "splits=[]"], "limit is 0"),
    (["balance=2", "limit=0", "splits=[]"], "balance is 2"),
    (["splits=[dev]"], "splits"),
    (["media_root=x"], "media_root is given, but paths is absolute"),
    (["push=a/b"], "push is given, but format is trl"),
    (["format=hub", "push=faces"], "owner/name"),
    (["tasks={{age: 1}}"], "can be asked age"),
    (["splits=[val]"], "no records in split val; it has test, train"),
    (["colour=red"], "colour: unknown key"),
])  # fmt: skip
def test_what_a_user_can_mend_ends_with_one_message_and_status_2(
        records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], items: list[str],
        says: str) -> None:  # fmt: skip
    given = [f"records={records}", "format=trl", *(item.format(tmp_path) for item in items)]
    assert says in command(capsys, *given, f"out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


def test_a_full_folder_is_refused_and_left_alone(records: Path, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "not empty" in command(capsys, f"records={records}", f"out={tmp_path / 'out'}", "format=ms-swift")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_says_what_it_wrote_and_the_readme_how_to_load_it(
        records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:  # fmt: skip
    out = tmp_path / "out"
    export.main([f"records={records}", f"out={out}", f"format={form}", "tasks.label=1"])
    said = capsys.readouterr().out
    assert f"wrote {out}" in said and "test: " in said
    text = (out / "README.md").read_text()
    loads = {"trl": f'load_dataset("{out}")', "ms-swift": f"--dataset {out}/train.jsonl", "hub": "load_dataset(",
             "llama-factory": f"dataset_dir: {out}",
             "lmms-eval": f"--include_path {out} --tasks facevlm_out"}  # fmt: skip
    assert loads[form] in text and re.search(r"\| synthetic \| CC0-1\.0 \| [0-9]+ \|", text)
    assert yaml.safe_load((out / "config.yaml").read_text())["config"]["format"] == form


def test_help_works_from_the_root() -> None:
    done = subprocess.run([sys.executable, "-m", "data_builders.export", "--help"], cwd=HERE, capture_output=True,
                          text=True, check=True, env={**os.environ, "PYTHONPATH": str(HERE)})  # fmt: skip
    assert "ms-swift | llama-factory" in done.stdout and "media_root" in done.stdout
