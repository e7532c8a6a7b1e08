"""Work on many chunk files: in this process, in processes on this machine, or on a Ray cluster.

A piece of work reads one file and writes another whole, so that whatever is killed can be done again, and the result
does not depend on who did it.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from queue import SimpleQueue
from threading import Thread
from typing import Any

from facevlm.config import ConfigError

Work = Callable[[int], None]
"""Does the chunk of this number."""


def run(make: Callable[[], Work], chunks: Iterable[int], workers: int, ray: bool = False) -> Iterator[int]:
    """Do all chunks, in any order; yields each one's number when it is done.

    Args:
        make: builds the work once per worker; it is sent to the workers, so it must pickle.
        chunks: their numbers; processes begin with the first ones while the others are still being made.
        workers: processes; with `ray`, the most tasks at once.
        ray: use the cluster that Ray finds, or a local one; every machine must see the same folders.

    Raises:
        ChildProcessError: a worker was killed or could not be started.
        ConfigError: Ray is not installed.
    """
    if ray:
        yield from _on_ray(make, list(chunks), workers)
    elif workers == 1:
        yield from _here(make, chunks)
    else:
        yield from _in_processes(make, chunks, workers)


def _here(make: Callable[[], Work], chunks: Iterable[int]) -> Iterator[int]:
    work: Work | None = None
    for chunk in chunks:
        work = work or make()  # only now: an engine is not loaded where nothing is left to do
        work(chunk)
        yield chunk


_work: Work | None = None


def _start(make: Callable[[], Work]) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process in good order
    Thread(target=_end_with_parent, daemon=True).start()
    _work = make()


def _end_with_parent() -> None:
    # A parent that is killed tells nobody: its workers would wait for ever, or write into what another build began.
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(chunk: int) -> int:
    if _work is None:
        raise RuntimeError("the worker was not started")
    _work(chunk)
    return chunk


def _in_processes(make: Callable[[], Work], chunks: Iterable[int], workers: int) -> Iterator[int]:
    # Spawned, not forked: Arrow and tqdm run threads, whose locks a forked child would inherit in any state.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(make,)) as pool:
        done: SimpleQueue[Future[int]] = SimpleQueue()
        waiting = 0
        try:
            for chunk in chunks:
                _submit(pool, chunk).add_done_callback(done.put)
                waiting += 1
                while not done.empty():
                    yield done.get().result()
                    waiting -= 1
            for _ in range(waiting):
                yield done.get().result()
        except BrokenProcessPool as e:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()  # one started while another died is overlooked by the pool, which waits for it for ever
            raise ChildProcessError("a process that decodes pictures was killed or could not start, most likely for "
                                    "want of memory; what is done is kept, and the same command with fewer "
                                    "`workers` goes on") from e
        finally:
            pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, chunk: int) -> Future[int]:
    try:
        return pool.submit(_do, chunk)
    except (OSError, ValueError) as e:  # a process died while the next was being started: its pipes are closed already
        raise BrokenProcessPool(str(e)) from e


def _on_ray(make: Callable[[], Work], chunks: Sequence[int], workers: int) -> Iterator[int]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray.data
    except ImportError as e:
        raise ConfigError("ray=true needs Ray Data: pip install facevlm[ray]") from e
    if not chunks:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours shows records, not Ray's blocks
    rows = ray.data.from_items(list(chunks), override_num_blocks=len(chunks))

    class Actor:
        """A worker on the cluster: builds the work once, then does chunk after chunk."""

        def __init__(self) -> None:
            self.work = make()

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            self.work(int(row["item"]))
            return row

    done = rows.map(Actor, compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers))
    for row in done.iter_rows():
        yield int(row["item"])
