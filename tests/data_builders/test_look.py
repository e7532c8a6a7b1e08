import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from data_builders import build, look
from data_builders.source import TASKS, Note, Source
from data_builders.sources import SOURCES
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

HERE = Path(__file__).parents[2]
TABLE = {"labels": "labels.csv", "label_set": "basic7", "columns": {"media": "file", "emotion": "emo"}}


def picture(root, name, content=None):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        Image.new("RGB", (24, 24), (200, 150, 120)).save(path)
    else:
        path.write_bytes(content)


def state(root):
    return {str(p.relative_to(root)): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
            for p in sorted(root.rglob("*"))}  # fmt: skip


def shown(capsys, *argv):
    build.main(["--inspect", *argv])
    return capsys.readouterr().out


@pytest.fixture
def table(tmp_path):
    root = tmp_path / "set"
    picture(root, "a.jpg")
    picture(root, "b.jpg", b"text")
    (root / "labels.csv").write_text("file,emo\na.jpg,happy\nb.jpg,sad\ngone.jpg,fear\nc.jpg,glee\nd.jpg,mirth\n"
                                     "a.jpg,happy\n")  # fmt: skip
    return root


@pytest.fixture
def rafdb(tmp_path):
    root = tmp_path / "raf"
    (root / "basic/EmoLabel").mkdir(parents=True)
    labels = root / "basic/EmoLabel/list_patition_label.txt"
    labels.write_text("train_00001.jpg 5\ntest_0001.jpg 4\ntest_0002.jpg 9\n")
    for name in ("train_00001", "test_0001", "test_0002"):
        picture(root, f"basic/Image/aligned/{name}_aligned.jpg")
    return root


def test_the_list_says_of_every_source_what_one_must_know():
    text = look.table(SOURCES)
    for source in SOURCES.values():
        start = text.index(f"{source.name}: {source.title}\n")
        words = " ".join(text[start : start + 3000].split())
        assert " ".join(source.licence.split())[:40] in words and source.tasks[0] in words
        assert set(source.tasks) <= set(TASKS)
    assert max(map(len, text.splitlines())) < 200



def test_the_list_is_a_command_of_its_own():
    done = subprocess.run([sys.executable, "-m", "data_builders.build", "--list"], cwd=HERE, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert all(f"\n{name}: " in f"\n{done.stdout}" for name in SOURCES)


def test_an_option_without_a_default_is_shown_alone():
    def read(root, into, *, labels, side=48):
        yield from ()

    assert look.option_names(Source("x", "X", read, (), "", "", extracts=True)) == ["labels", "side=48"]


def test_a_table_is_inspected_without_writing(table, tmp_path, capsys):
    before = state(tmp_path)
    out = shown(capsys, "source=table", f"root={table}", f"options.labels={TABLE['labels']}",
                "options.label_set=basic7", "options.columns.media=file", "options.columns.emotion=emo",
                f"out={tmp_path / 'never'}")  # fmt: skip
    assert "read: no split 6" in out
    assert "would drop 2: unknown label, e.g. c.jpg: " in out and "would drop 1: duplicate id, e.g. a.jpg: " in out
    assert "record a.jpg:" in out and "emotion: happiness" in out
    assert "pictures of the first 3 records: 1 open; not an image 1, file missing 1, e.g. " in out
    assert state(tmp_path) == before


def test_class_folders_are_inspected(tmp_path, capsys):
    for label, n in (("happy", 3), ("sad", 2)):
        for i in range(n):
            picture(tmp_path / "set", f"train/{label}/{i}.png")
    picture(tmp_path / "set", "train/sad/cut.png", (tmp_path / "set/train/sad/1.png").read_bytes()[:50])
    before = state(tmp_path)
    out = shown(capsys, "source=classfolders", f"root={tmp_path / 'set'}")
    assert "read: train 6" in out and "5 open; damaged image 1" in out and state(tmp_path) == before


def test_rows_stand_beside_the_published_counts(rafdb, tmp_path, capsys):
    before = state(tmp_path)
    out = shown(capsys, "source=rafdb", f"root={rafdb}")
    assert "train 1 of 12,271 published" in out and "test 1 of 3,068 published, no split 1" in out
    assert "would drop 1: unknown label, e.g. test_0002" in out and "record train_00001:" in out
    assert state(tmp_path) == before


def test_a_limit_counts_rows_and_not_notes(rafdb, capsys):
    out = shown(capsys, "source=rafdb", f"root={rafdb}", "limit=1")
    assert "read: train 1 of 12,271 published, test 0 of" in out


def test_without_a_source_the_readers_that_accept_the_folder_are_named(rafdb, tmp_path, capsys):
    before = state(tmp_path)
    out = shown(capsys, f"root={rafdb}")
    first = out.splitlines()[0].rpartition(": ")[2].split(", ")
    assert "rafdb" in first and "synthetic" not in first and "--inspect source=" in out
    assert state(tmp_path) == before


def test_a_folder_that_no_reader_accepts_is_refused_with_what_to_do(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/notes.txt").write_text("nothing")
    with pytest.raises(SystemExit) as e:
        build.main(["--inspect", f"root={tmp_path / 'set'}"])
    said = capsys.readouterr().err
    assert e.value.code == 2 and "no reader accepts" in said and "source=table" in said


def test_neither_root_nor_source_is_refused(capsys):
    with pytest.raises(SystemExit):
        build.main(["--inspect"])
    assert "--inspect needs root" in capsys.readouterr().err


def test_a_reader_that_breaks_on_foreign_files_does_not_end_the_guess(tmp_path):
    def breaks(root):
        yield Note("so far so good")
        raise KeyError("column")

    def accepts(root):
        yield Drop("1", "x", "y")
        yield FaceRecord("2", "b", "a.png")

    two = {name: Source(name, name, read, (), "", "") for name, read in (("a", breaks), ("b", accepts))}
    assert "accept" in look._guess(tmp_path, two) and "inspect one: --inspect source=b" in look._guess(tmp_path, two)


def test_an_extracting_source_writes_below_neither_root_nor_out(tmp_path, monkeypatch, capsys):
    def read(root, into):
        Image.new("RGB", (20, 20)).save(into / "a.png")
        yield FaceRecord("a", "mine", "a.png", aus={12: 1})

    monkeypatch.setitem(SOURCES, "mine", Source("mine", "Mine", read, ("au",), "x", "y", extracts=True))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/labels.txt").write_text("x")
    before = state(tmp_path)
    assert "1 records: 1 open" in shown(capsys, "source=mine", f"root={tmp_path / 'set'}")
    assert state(tmp_path) == before


def test_a_wrong_option_is_said_as_in_a_build(rafdb):
    with pytest.raises(ConfigError, match=r"options.colour"):
        look.inspect(build.Inspection(source="rafdb", root=str(rafdb), options={"colour": "red"}), SOURCES)
