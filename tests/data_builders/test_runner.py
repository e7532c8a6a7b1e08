import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_builders.draft import Draft
from data_builders.runner import run
from facevlm.config import ConfigError
from facevlm.record import FaceRecord

HERE = Path(__file__).parents[2]
ROWS = 8


@pytest.fixture
def draft(tmp_path):
    """A draft with labels for 41 pictures in chunks of 8 rows; one picture is missing, one is no picture."""
    root = tmp_path / "set"
    root.mkdir()
    draft = Draft(tmp_path / "draft", ROWS)
    for stage in ("labels", "pictures"):
        (draft.folder / stage).mkdir(parents=True)
    writer = draft.writer()
    for i in range(41):
        if i != 5:
            Image.effect_noise((24, 24), 60).convert("RGB").save(root / f"{i}.png")
        list(writer.add(FaceRecord(str(i), "s", f"{i}.png", emotion="fear", label_set="basic7")))
    list(writer.close())
    (root / "7.png").write_text("text")
    return draft


def make(draft):
    return partial(draft.examiner, draft.folder.parent / "set", 8, True)


def results(draft):
    found = {p.name: p.read_bytes() for p in (draft.folder / "pictures").iterdir()}
    for name in found:
        (draft.folder / "pictures" / name).unlink()
    return found


def done(draft, workers, ray=False):
    assert sorted(run(make(draft), iter(range(draft.chunks)), workers, ray)) == list(range(6))
    return results(draft)


def test_processes_leave_the_same_files_as_no_processes(draft):
    alone = done(draft, 1)
    assert sorted(alone) == [f"{i:05d}.parquet" for i in range(6)]
    assert done(draft, 3) == alone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_leaves_the_same_files_and_its_failures_surface(draft, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    alone = done(draft, 1)
    try:
        assert done(draft, 2, ray=True) == alone
        (draft.folder / "labels/00003.parquet").write_bytes(b"broken")
        with pytest.raises(Exception, match="(?s)Parquet"):
            list(run(make(draft), range(6), 2, ray=True))
        assert list(run(make(draft), [], 2, ray=True)) == []
    finally:
        ray.shutdown()


def test_ray_that_is_not_there_is_said(draft, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="pip install"):
        list(run(make(draft), range(6), 2, ray=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_inside_the_work_surfaces_and_what_is_done_stays(draft, workers):
    (draft.folder / "labels/00003.parquet").write_bytes(b"broken")
    with pytest.raises(ValueError, match="Parquet"):
        list(run(make(draft), range(6), workers))
    left = results(draft)
    assert "00003.parquet" not in left and (workers == 2 or len(left) == 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_while_chunks_are_being_made_surfaces(draft, workers):
    def chunks():
        yield 0
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        list(run(make(draft), chunks(), workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_where_nothing_is_left_to_do_nothing_is_started(workers):
    def never():
        raise AssertionError

    assert list(run(never, iter(()), workers)) == []


def test_the_work_is_built_once_in_a_process(draft):
    built = []

    def counted():
        built.append(1)
        return lambda chunk: None

    assert list(run(counted, range(5), 1)) == list(range(5)) and built == [1]


def test_chunks_are_begun_while_others_are_still_being_made(draft):
    def chunks():
        yield 0
        limit = time.monotonic() + 60
        while not (draft.folder / "pictures/00000.parquet").is_file():
            assert time.monotonic() < limit
            time.sleep(0.02)
        yield from range(1, 6)

    assert sorted(run(make(draft), chunks(), 2)) == list(range(6))


_WORK = """
import os, time
from pathlib import Path
def make(folder):
    Path(folder, f"worker-{os.getpid()}").write_text("")
    return slow
def slow(chunk):
    time.sleep(600)
"""
_RUN = """
import sys
from functools import partial
from data_builders.runner import run
import work_that_waits
if __name__ == "__main__":
    list(run(partial(work_that_waits.make, sys.argv[1]), range(4), 2))
"""


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks for the workers in /proc")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_while_the_next_is_being_started_is_said(draft, monkeypatch, when):
    start, started = SpawnProcess.start, []

    def start_and_kill(process):
        if started and when == "before":
            kill(started[0])
        start(process)
        if started and when == "after":
            kill(started[0])
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start_and_kill)
    with pytest.raises(ChildProcessError, match="for want of memory"):
        list(run(make(draft), iter(range(draft.chunks)), 2))
    assert not multiprocessing.active_children()


def kill(process):
    process.kill()
    time.sleep(0.5)  # the pool's thread sees it meanwhile


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "work_that_waits.py").write_text(_WORK)
    (tmp_path / "run_it.py").write_text(_RUN)
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen([sys.executable, tmp_path / "run_it.py", tmp_path], env=environment)
    limit = time.monotonic() + 60
    while len(pids := [p.name.partition("-")[2] for p in tmp_path.glob("worker-*")]) < 2:
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < limit, "a worker outlived its parent"
        time.sleep(0.02)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_findings_of_a_chunk_stand_row_for_row(draft):
    done_by = list(run(make(draft), range(1), 1))
    reasons = pq.read_table(draft.path("pictures", 0))["reason"].to_pylist()
    assert done_by == [0] and reasons == [None] * 5 + ["file missing", None, "not an image"]
