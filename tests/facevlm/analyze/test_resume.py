"""Parts: what is done is not done again, whatever ended the run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from facevlm.analyze import Config, Summary, run
from facevlm.config import ConfigError
from facevlm.generate import Request, Scripted

Make = Callable[..., Config]


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Twenty-three pictures of as many greys, and two that are none."""
    folder = tmp_path / "greys"
    folder.mkdir()
    for i in range(25):
        path = folder / f"{i:02d}.png"
        if i in (3, 24):
            path.write_text("no picture")
        else:
            Image.new("RGB", (20, 20), (i, i, i)).save(path)
    return folder


@pytest.fixture
def make(greys: Path, tmp_path: Path) -> Make:
    def config(**keys: Any) -> Config:
        return Config(**{"inputs": [str(greys)], "model": "tiny", "out": str(tmp_path / "out"), "part": 4, "batch": 3,
                         "workers": 2, **keys})  # fmt: skip

    return config


class Counted(Scripted):
    """Says the grey of the picture; keeps what it was asked, and fails at the n-th question."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__(self._say)
        self.asked: list[int] = []
        self.fail_at = fail_at

    def _say(self, request: Request) -> str:
        if len(self.asked) == self.fail_at:
            raise RuntimeError("out of memory")
        grey: int = request.images[0].getpixel((0, 0))[0]  # type: ignore[index]
        self.asked.append(grey)
        return f"<think>grey {grey}</think><au>none</au><answer>neutral</answer>"


def rows(folder: Path) -> list[tuple[str, str | None, str | None]]:
    files = sorted(folder.glob("part-*.parquet"))
    return [(Path(row["path"]).name, row["thinking"], row["error"]) for file in files
            for row in pq.read_table(file).to_pylist()]  # fmt: skip


def test_folder_gets_parts_in_the_order_of_the_pictures(make: Make, tmp_path: Path) -> None:
    summary = run(make(), Counted())
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "_manifest.json", *(f"part-{i:05d}.parquet" for i in range(7))]  # fmt: skip
    found = rows(tmp_path / "out")
    assert [name for name, *_ in found] == [f"{i:02d}.png" for i in range(25)]
    assert all(said == f"grey {i}" or i in (3, 24) for i, (_, said, _) in enumerate(found))
    assert pq.read_table(tmp_path / "out").num_rows == 25  # as one table: the manifest is not taken for data
    assert (summary.facts.pictures, summary.facts.faces, summary.facts.failed, summary.done) == (25, 23, 2, 25)


@pytest.mark.parametrize("fail_at", [5, 12, 22])
def test_what_failed_goes_on_and_asks_nothing_twice(make: Make, tmp_path: Path, fail_at: int) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        run(make(), Counted(fail_at))
    done = rows(tmp_path / "out")
    second = Counted()
    summary = run(make(), second)
    assert not {int(name[:2]) for name, *_ in done} & set(second.asked)
    assert summary.done == 25 - len(done)
    run(make(out=str(tmp_path / "alone")), Counted())
    assert rows(tmp_path / "out") == rows(tmp_path / "alone")


def test_what_is_done_asks_nothing_and_loads_no_engine(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first, third = Counted(), Counted()
    run(make(), first)
    assert run(make(), third) == Summary(run(make(), third).facts, 0, None, 0)
    assert len(first.asked) == 23 and third.asked == []


def test_single_file_is_resumed_too_and_leaves_no_parts(make: Make, tmp_path: Path) -> None:
    config = make(out=str(tmp_path / "faces.jsonl"))
    with pytest.raises(RuntimeError):
        run(config, Counted(12))
    assert not (tmp_path / "faces.jsonl").exists() and (tmp_path / ".faces.jsonl.parts").is_dir()
    second = Counted()
    run(config, second)
    lines = [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()]
    assert [line["thinking"] for line in lines if not line["error"]] == [f"grey {i}" for i in range(24) if i != 3]
    assert len(second.asked) < 23 and not (tmp_path / ".faces.jsonl.parts").exists()


@pytest.mark.parametrize(("keys", "said"), [({"mode": "fast"}, "mode: 'explain' then, 'fast' now"),
                                            ({"part": 5}, "part: 4 then, 5 now"),
                                            ({"max_pixels": 100}, "max_pixels: 262144 then, 100 now")])  # fmt: skip
def test_other_settings_are_refused(make: Make, keys: dict[str, Any], said: str) -> None:
    run(make(), Counted())
    with pytest.raises(ConfigError, match=said):
        run(make(**keys), Counted())


def test_pictures_that_came_or_went_are_refused(make: Make, greys: Path) -> None:
    run(make(), Counted())
    (greys / "10.png").rename(greys / "10b.png")
    with pytest.raises(ConfigError, match=r"have changed since .*part-00002\.parquet"):
        run(make(), Counted())
    (greys / "10b.png").rename(greys / "10.png")
    for i in range(20, 25):
        (greys / f"{i}.png").unlink()
    with pytest.raises(ConfigError, match="they make 5 parts"):
        run(make(), Counted())


def test_folder_of_something_else_is_left_alone(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"is no output of facevlm\.analyze"):
        run(make(), Counted())


def test_shares_together_write_what_one_run_writes(make: Make, tmp_path: Path) -> None:
    asked = []
    for i in (2, 1, 3):
        share = Counted()
        summary = run(make(shard=f"{i}/3"), share)
        asked.append(share.asked)
    assert [len(a) for a in asked] == [8, 7, 8]
    assert summary.missing == 0 and summary.facts.pictures == 25
    run(make(out=str(tmp_path / "alone")), Counted())
    assert rows(tmp_path / "out") == rows(tmp_path / "alone")


def test_first_share_knows_that_others_are_missing(make: Make) -> None:
    assert run(make(shard="1/3"), Counted()).missing == 4


def test_limit_takes_the_first_pictures(make: Make, tmp_path: Path) -> None:
    assert run(make(limit=6), Counted()).facts.pictures == 6
    assert [name for name, *_ in rows(tmp_path / "out")] == [f"{i:02d}.png" for i in range(6)]


SLOW = """
import sys, time
from facevlm.analyze import Config, run
from facevlm.generate import Scripted
def say(request):
    time.sleep(0.05)
    print(request.images[0].getpixel((0, 0))[0], flush=True)
    return f"<think>grey {request.images[0].getpixel((0, 0))[0]}</think><au>none</au><answer>neutral</answer>"
run(Config([sys.argv[1]], "tiny", sys.argv[2], part=4, batch=3, workers=2), Scripted(say))
"""


def test_killed_at_any_moment_it_ends_with_the_same_rows(make: Make, greys: Path, tmp_path: Path) -> None:
    out, asked = tmp_path / "out", list[int]()
    for parts in (1, 3):
        child = subprocess.Popen([sys.executable, "-c", SLOW, str(greys), str(out)], stdout=subprocess.PIPE, text=True,
                                 env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])})  # fmt: skip
        while len(list(out.glob("part-*.parquet"))) < parts and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        said, _ = child.communicate()
        before = {int(name[:2]) for name, *_ in rows(out)}
        asked += [grey for grey in map(int, said.split()) if grey in before]
        assert child.returncode == -signal.SIGKILL and parts <= len(before) / 4 < 6
    last = Counted()
    run(make(), last)
    assert len(asked + last.asked) == len({*asked, *last.asked}) == 23  # what is in a part was asked once
    run(make(out=str(tmp_path / "alone")), Counted())
    assert rows(out) == rows(tmp_path / "alone")
