"""What people's folders are like: every oddity is read, or counted with a reason, or refused in words."""

import json
import os

import pytest
from PIL import Image

from data_builders import build
from data_builders.reading.files import subfolders, walk
from data_builders.source import Source
from data_builders.sources import SOURCES
from facevlm import record
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

COLUMNS = {"media": "file", "subject": "who", "emotion": "emo"}


def picture(root, name):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((24, 24), 80).convert("RGB").save(path, "PNG")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def built(root, labels=None, **columns):
    """Kept records by id, drops as (id, reason), of a table or, without labels, of class folders."""
    keys = {"source": "classfolders"}
    if labels is not None:
        (root / "labels.csv").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
        keys = {"source": "table", "options": {"labels": "labels.csv", "label_set": "basic7",
                                               "columns": COLUMNS | columns}}  # fmt: skip
    out = root.parent / "out"
    build.build(build.Config(root=str(root), out=str(out), workers=1, near_duplicates=None, **keys))
    with (out / "dropped.jsonl").open(encoding="utf-8") as file:
        drops = [json.loads(line) for line in file]
    facts = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert facts["read"] == facts["kept"] + sum(facts["dropped"].values()) == facts["kept"] + len(drops)
    return {r.id: r for r in record.read(out).records}, [(d["id"], d["reason"]) for d in drops]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_labels(root):
    picture(root, "a.png")
    kept, dropped = built(root, b"\xef\xbb\xbffile,who,emo\r\na.png,p,happy\r\n")
    assert kept["a.png"].emotion == "happiness" and kept["a.png"].subject == "p" and dropped == []


@pytest.mark.parametrize("name", ["a b.png", "  inner  blanks.png".strip(), "Zoë/über 1.png", "表情/笑.png", "a#b.png",
                                  "a%20b.png", "a'b.png", "emoji🙂.png", "a\u2028b.png"])  # fmt: skip
def test_names_with_blanks_and_letters_of_all_scripts(root, name):
    picture(root, name)
    kept, dropped = built(root, f"file,who,emo\n{name},p,happy\n")
    assert list(kept) == [name] and dropped == []


def test_a_reason_with_a_unicode_line_end_inside_is_one_line(root):
    picture(root, "a.png")
    _, dropped = built(root, "file,who,emo\na.png,p,happy\ngone\u2028.png,p,happy\nb.png,p,gl\x85ee\n")
    assert dropped == [("b.png", "unknown label"), ("gone\u2028.png", "file missing")]


def test_two_files_of_one_id_leave_the_first(root):
    for name in ("a.png", "b.png", "c.png"):
        picture(root, name)
    kept, dropped = built(root, "file,who,emo,key\na.png,p,happy,1\nb.png,q,sad,1\nc.png,q,sad,2\n", id="key")
    assert {name: r.media for name, r in kept.items()} == {"1": "a.png", "2": "c.png"}
    assert dropped == [("1", "duplicate id")]


def test_an_empty_folder_is_refused(root):
    with pytest.raises(ConfigError, match="is an empty folder; unpack"):
        built(root)


def test_class_folders_without_pictures_are_refused(root):
    (root / "happy").mkdir()
    (root / "sad").mkdir()
    with pytest.raises(ConfigError):
        built(root)
    assert [p.name for p in root.parent.iterdir()] == ["set"]


def test_a_chunk_of_nothing_but_drops_and_a_set_that_ends_with_one(root, monkeypatch):
    def read(root):
        for i in range(256 * 2):
            yield Drop(str(i), "unlabelled", "")
        yield FaceRecord("a", "mine", "a.png", emotion="fear", label_set="basic7", aus={4: 1})
        for i in range(256):
            yield Drop(f"b{i}", "unlabelled", "")

    picture(root, "a.png")
    monkeypatch.setitem(SOURCES, "mine", Source("mine", "Mine", read, ("emotion",), "", ""))
    tally = build.build(build.Config(source="mine", root=str(root), out=str(root.parent / "out"), workers=1))
    assert (tally.kept, tally.dropped) == (1, {"unlabelled": 768})


def test_a_source_that_gives_nothing_is_refused(root, monkeypatch):
    picture(root, "a.png")
    monkeypatch.setitem(SOURCES, "mine", Source("mine", "Mine", lambda root: iter(()), ("emotion",), "", ""))
    with pytest.raises(ConfigError, match="the source gave no rows"):
        build.build(build.Config(source="mine", root=str(root), out=str(root.parent / "out"), workers=1))
    assert [p.name for p in root.parent.iterdir()] == ["set"]


def test_a_file_whose_name_is_no_text_is_dropped_and_named_in_escapes(root):
    picture(root, "happy/a.png")
    try:
        (root / os.fsdecode(b"happy/\xe9t\xe9.png")).write_bytes((root / "happy/a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    kept, dropped = built(root)
    assert list(kept) == ["happy/a.png"] and [reason for _, reason in dropped] == ["bad record"]
    assert "\\udce9t\\udce9" in (root.parent / "out/dropped.jsonl").read_text(encoding="utf-8")


def test_spans_that_are_none_are_bad_records():
    for span in ((2.0, 1.0), (-1.0, 2.0), (0.0, float("inf")), (float("nan"), 1.0)):
        assert "span" in record.faults(FaceRecord("1", "s", "a.mp4", span=span))[0]
    assert record.faults(FaceRecord("1", "s", "a.mp4", span=(0.0, 1.5))) == []


# -- links


def test_a_link_that_leads_back_up_is_walked_once(root):
    picture(root, "happy/a.png")
    (root / "happy/again").symlink_to(root)
    (root / "happy/self").symlink_to(root / "happy/self")
    (root / "happy/dead.png").symlink_to(root / "gone.png")
    assert list(walk(root)) == ["happy/a.png", "happy/dead.png"]
    kept, dropped = built(root)
    assert list(kept) == ["happy/a.png"] and dropped == [("happy/dead.png", "file missing")]


def test_two_folders_that_lead_to_each_other_end(root):
    picture(root, "a/1.png")
    picture(root, "b/2.png")
    (root / "a/b").symlink_to(root / "b")
    (root / "b/a").symlink_to(root / "a")
    assert list(walk(root)) == ["a/1.png", "a/b/2.png", "b/2.png", "b/a/1.png"]


def test_a_link_to_itself_is_no_subfolder(root):
    (root / "x").symlink_to(root / "x")
    (root / "y").mkdir()
    assert subfolders(root) == ["y"]
