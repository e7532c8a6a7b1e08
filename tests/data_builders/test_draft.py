import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from data_builders import build, duplicates
from data_builders.draft import read_drops, write_drops
from facevlm import record
from facevlm.config import ConfigError
from facevlm.record import Drop
from facevlm.tiny.population import draw, emotional_aus

HERE = Path(__file__).parents[2]
OPTIONS = {"labels": "labels.csv", "label_set": "basic7",
           "columns": {"media": "file", "subject": "who", "emotion": "emo", "split": "split"}}  # fmt: skip


def faces(folder: Path, rows: int) -> Path:
    """A table of small pictures; some of them copies, cut short, gone or with a wrong label."""
    import numpy as np

    (folder / "pictures").mkdir(parents=True)
    drawn = [draw(s, emotional_aus("fear", rng), rng, 40, 0.1, "fear").face.image for s in range(60)
             for rng in [np.random.default_rng(s)]]  # fmt: skip
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["file", "who", "emo", "split"])
        for i in range(rows):
            name = f"pictures/{i:05d}.jpg"
            picture = drawn[i % 60] if i % 9 == 0 else drawn[i % 60].rotate(i / 7 % 40 - 20).crop((i % 5, 2, 36, 38))
            if i % 41:
                picture.save(folder / name)
            if i % 29 == 0 and i % 41:
                (folder / name).write_bytes((folder / name).read_bytes()[:300])
            who = "" if i % 3 else f"p{i // 50}"
            out.writerow([name, who, "glee" if i % 53 == 0 else ["fear", "anger"][i % 2], ""])
    return folder


def make(folder: Path, **keys: object) -> build.Config:
    return build.Config(**{"source": "table", "root": str(folder / "set"), "out": str(folder / "out"),
                           "options": OPTIONS, "workers": 1, "shard_rows": 200, **keys})  # fmt: skip


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "data_builders.build", "source=table", f"root={folder / 'set'}",
            f"out={folder / 'out'}", f"options={json.dumps(OPTIONS)}", "workers=2", "shard_rows=200",
            *more]  # fmt: skip


def start(argv: list[str]) -> "subprocess.Popen[str]":
    # A session of its own, so that whoever is left of it can be found.
    return subprocess.Popen(argv, cwd=HERE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                            start_new_session=True)  # fmt: skip


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def survivors(group: int) -> list[str]:
    """The processes of a group that still run, as the state and name that the system gives."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, _, member = rest.split()[:3]
        if int(member) == group and state not in "ZX":
            found.append(f"{name}) {state}")
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files of a set; of the report, all but the versions, for a commit may come in between."""
    found = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != "config.yaml"}
    report = json.loads(found.pop("report.json"))
    return found | {"report": json.dumps({k: v for k, v in report.items() if k != "versions"}).encode()}


def undisturbed(folder: Path, rows: int) -> dict[str, bytes]:
    """The bytes of a build that nobody disturbs, in one process."""
    faces(folder / "set", rows)
    build.build(make(folder))
    found = bytes_of(folder / "out")
    shutil.rmtree(folder / "out")
    report = json.loads(found["report"])
    assert {"damaged image", "file missing", "unknown label", "near-duplicate"} <= report["dropped"].keys()
    assert len([name for name in found if name.startswith("records-")]) > 1
    return found


def kill_once(folder: Path, after: str, seconds: float) -> bool:
    """Start a build, and kill it some seconds after a file of its draft is there; whether it was still at work."""
    process = start(command(folder))
    while process.poll() is None and not any(folder.glob(f".out.building/{after}")):
        time.sleep(0.005)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate(timeout=60)
    limit = time.perf_counter() + 20
    while (left := survivors(process.pid)) and time.perf_counter() < limit:
        time.sleep(0.05)
    assert not left, f"these outlive the build: {left}"
    return process.returncode == -signal.SIGKILL


def finish(folder: Path) -> None:
    """Start the same command again and let it end; it may have been whole already when it was killed."""
    whole = (folder / "out").exists()
    code, said = ended(start(command(folder)))
    assert (code, "not empty" in said) == ((2, True) if whole else (0, False)), said
    assert sorted(p.name for p in folder.iterdir()) == ["out", "set"]


def test_a_build_killed_three_times_ends_with_the_same_bytes(tmp_path):
    known, chance = undisturbed(tmp_path, 700), random.Random()
    killed = [kill_once(tmp_path, after, chance.uniform(0, 0.3))
              for after in ("labels/*.parquet", "pictures/*.parquet", "pictures/00002.parquet")
              if not (tmp_path / "out").exists()]  # fmt: skip
    finish(tmp_path)
    assert bytes_of(tmp_path / "out") == known and killed[0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_build_killed_at_any_of_20_moments_ends_with_the_same_bytes(tmp_path):
    known, chance = undisturbed(tmp_path, 1100), random.Random()
    started = time.perf_counter()
    finish(tmp_path)
    took = time.perf_counter() - started
    assert bytes_of(tmp_path / "out") == known
    killed = 0
    for i in range(20):
        shutil.rmtree(tmp_path / "out")
        killed += kill_once(tmp_path, "settings.json", took * (i + chance.random()) / 20)
        finish(tmp_path)
        assert bytes_of(tmp_path / "out") == known
    assert killed > 5


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the workers in /proc")
def test_a_killed_worker_is_said_and_the_same_command_goes_on(tmp_path):
    faces(tmp_path / "set", 600)
    process = start(command(tmp_path))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    killed = 0
    while not killed and process.poll() is None:
        for pid in children.read_text().split():
            try:
                worker = b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if worker:
                os.kill(int(pid), signal.SIGKILL)
                killed += 1
                break
        time.sleep(0.01)
    code, said = ended(process)
    assert killed and code == 2 and "was killed or could not start, most likely for want of memory" in said
    assert "Traceback" not in said
    finish(tmp_path)


# -- going on


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """A build that came as far as the pictures."""
    faces(tmp_path / "set", 120)

    def fail(*_: object) -> None:
        raise OSError("the plug was pulled")

    def begin(**keys: object) -> Path:
        with monkeypatch.context() as patch, pytest.raises(OSError, match="plug"):
            patch.setattr(duplicates, "settle", fail)
            build.build(make(tmp_path, **keys))
        assert (tmp_path / ".out.building/pictures/00000.parquet").is_file()
        return tmp_path

    return begin


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_done_is_not_done_again(unfinished, monkeypatch):
    folder = unfinished()
    looked: list[object] = []
    monkeypatch.setattr("data_builders.pictures.examine", lambda *given: looked.append(given))
    assert build.build(make(folder)).kept and looked == []


@pytest.mark.parametrize("keys", [{"frames": 3}, {"near_duplicates": 3}, {"limit": 50}, {"seed": 1},
                                  {"options": OPTIONS | {"au_missing": [9]}}])  # fmt: skip
def test_another_config_is_refused_and_what_differs_is_named(unfinished, keys):
    folder = unfinished()
    with pytest.raises(ConfigError, match=rf"other settings \({next(iter(keys))};.*fresh=true"):
        build.build(make(folder, **keys))
    assert build.build(make(folder)).kept


@pytest.mark.parametrize("keys", [{"workers": 2}, {"overwrite": True}, {"root": None}])
def test_what_changes_nothing_in_the_set_may_change(unfinished, keys, monkeypatch):
    folder = unfinished()
    if "root" in keys:  # the same folder, written in another way, and the keys of options in another order
        monkeypatch.chdir(folder)
        keys = {"options": dict(reversed(OPTIONS.items()))}
    assert build.build(make(folder, **keys)).kept


def test_options_may_mix_numbers_and_words(tmp_path):
    faces(tmp_path / "set", 20)
    options = OPTIONS | {"emotion_map": {0: "fear", "glee": "happiness"}, "label_set": "basic7"}
    tally = build.build(make(tmp_path, options=options, near_duplicates=None))
    assert "unknown label" not in tally.dropped


def test_fresh_starts_over(unfinished):
    folder = unfinished()
    tally = build.build(make(folder, limit=60, fresh=True))
    assert tally.given.total() == 60 and names(folder) == ["out", "set"]


@pytest.mark.parametrize("change", [
    lambda text: text.replace("fear", "anger", 1),
    lambda text: text + "pictures/00001.jpg,p,fear,\n",
    lambda text: text.replace("glee", "mirth", 1),  # it is dropped before and after, but by another word
    lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
])  # fmt: skip
def test_labels_that_changed_since_are_refused(unfinished, change):
    folder = unfinished()
    labels = folder / "set" / "labels.csv"
    labels.write_bytes(change(labels.read_bytes().decode().replace("\r\n", "\n")).encode())
    with pytest.raises(ConfigError, match="have changed since this build began.*fresh=true"):
        build.build(make(folder))
    assert build.build(make(folder, fresh=True)).kept


def test_two_builds_of_one_folder_at_once_are_refused(unfinished):
    folder = unfinished()
    with filelock.FileLock(folder / ".out.building/lock"), pytest.raises(ConfigError, match="another build of .*out"):
        build.build(make(folder))
    assert build.build(make(folder)).kept


def test_half_written_files_do_not_end_up_in_the_set(unfinished):
    folder = unfinished()
    draft = folder / ".out.building"
    (draft / "set/images").mkdir()
    for left in ("set/.README.md-123", "set/images/.00001.png-77", "labels/.00000.parquet-9", "pictures/.x-1"):
        (draft / left).write_bytes(b"HALF-WRITTEN")
    for left in ("set/records-00007.parquet", "set/records-00000.parquet", "set/hashes.parquet"):
        (draft / left).write_bytes(b"HALF-WRITTEN too")
    (draft / "set/images/.keep").write_text("not ours")
    build.build(make(folder))
    assert not any(b"HALF-WRITTEN" in p.read_bytes() for p in (folder / "out").rglob("*")
                   if p.is_file())  # fmt: skip
    assert (folder / "out/images/.keep").exists() and record.read(folder / "out").records


def test_settings_that_cannot_work_leave_nothing_but_go_on_with_what_was_there(unfinished, tmp_path):
    with pytest.raises(ConfigError):
        build.build(make(tmp_path, options=OPTIONS | {"label_set": "mine"}))
    assert names(tmp_path) == ["set"]
    folder = unfinished()
    (folder / "set/labels.csv").rename(folder / "hidden")
    with pytest.raises(ConfigError):
        build.build(make(folder))
    (folder / "hidden").rename(folder / "set/labels.csv")
    assert (folder / ".out.building/pictures/00000.parquet").is_file() and build.build(make(folder)).kept


def test_what_a_config_error_after_the_labels_finds_done_stays(tmp_path, monkeypatch):
    # A teacher's budget that is spent is one: throwing away what it has written would cost money.
    faces(tmp_path / "set", 60)

    def spent(*_: object) -> None:
        raise ConfigError("the budget is spent")

    with monkeypatch.context() as patch, pytest.raises(ConfigError, match="spent"):
        patch.setattr(duplicates, "settle", spent)
        build.build(make(tmp_path))
    assert (tmp_path / ".out.building/pictures/00000.parquet").is_file() and build.build(make(tmp_path)).kept


def test_a_folder_that_filled_up_meanwhile_is_refused_and_the_draft_stays(unfinished):
    folder = unfinished()
    (folder / "out").mkdir()
    (folder / "out/mine").write_text("x")
    with pytest.raises(FileExistsError, match="not empty"):
        build.build(make(folder))
    assert names(folder) == [".out.building", "out", "set"]


# -- overwriting, and being killed while the set takes its place

_KILLED = """
import os, pathlib, shutil, sys
from data_builders import build, draft
rename, calls, last, point = pathlib.Path.rename, [], int(sys.argv[1]), sys.argv[2]
def dying(self, target):
    calls.append(self)
    if len(calls) == last and point == "before":
        os._exit(9)
    rename(self, target)
    if len(calls) == last and point == "after":
        os._exit(9)
def half(folder):
    shutil.rmtree(folder / "labels", ignore_errors=True)
    (folder / "settings.json").unlink(missing_ok=True)
    os._exit(9)
pathlib.Path.rename = dying
if point == "half":
    draft.shutil = type("Dying", (), {"rmtree": staticmethod(half)})
build.main(sys.argv[3:])
"""


@pytest.mark.parametrize(("last", "point", "fresh"), [
    (1, "after", True), (1, "after", False), (2, "after", False), (9, "half", False),
    pytest.param(1, "before", False, marks=pytest.mark.slow), pytest.param(2, "before", True, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_set_that_is_overwritten_is_never_lost(tmp_path, last, point, fresh):
    faces(tmp_path / "set", 40)
    build.build(make(tmp_path, limit=20, near_duplicates=None))
    old = record.read(tmp_path / "out").records
    argv = ["overwrite=true", "near_duplicates=null", *command(tmp_path)[3:]]
    argv[argv.index("workers=2")] = "workers=1"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(last), point, *argv], cwd=HERE, check=False)
    assert done.returncode == 9
    if (tmp_path / "out").exists():
        kept = record.read(tmp_path / "out").records
        assert kept == old or len(kept) > len(old)
    else:
        assert record.read(tmp_path / ".out.building/replaced").records == old
    if fresh:  # one that fails: it must not have thrown away the only copy
        with pytest.raises(ConfigError):
            build.build(make(tmp_path, overwrite=True, fresh=True, options=OPTIONS | {"labels": "none.csv"}))
        assert record.read(tmp_path / "out").records
    else:
        build.build(make(tmp_path, overwrite=True, near_duplicates=None))
        assert len(record.read(tmp_path / "out").records) > len(old)
    assert names(tmp_path) == ["out", "set"]


# -- what was dropped


def test_drops_come_back_as_they_were_whatever_their_text(tmp_path):
    drops = [Drop("a\u2028b\x85c\nd", "bad row", "torn\r\nline\x0b \u2029", "test"),
             Drop("\udcff.jpg", "x", "é\udc80")]  # fmt: skip
    write_drops(tmp_path / "d.jsonl", drops)
    assert read_drops(tmp_path / "d.jsonl") == drops


def test_out_may_be_written_relative_to_the_folder_one_is_in(tmp_path, monkeypatch):
    faces(tmp_path / "set", 20)
    monkeypatch.chdir(tmp_path)
    build.build(make(tmp_path, root="set", out="deep/out/"))
    assert record.read(tmp_path / "deep/out").root == tmp_path / "set"
