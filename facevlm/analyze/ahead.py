"""Work done ahead in threads, so that whoever takes the results never waits for a disk or a decoder."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(things: Iterable[T], work: Callable[[T], R], workers: int, depth: int) -> Generator[R, None, None]:
    """`work(thing)` for all things, in their order, up to `depth` of them ahead of the taker.

    Args:
        things: drawn in one thread of their own, in order: what must be read in sequence, such as a tar, is read here.
        work: done in `workers` threads at once.

    Raises:
        Exception: what `things` or `work` raises, in its place.
    """
    waiting: SimpleQueue[Future[R] | None] = SimpleQueue()
    room, stopped = Semaphore(depth), False

    def feed() -> None:
        try:
            for thing in things:
                room.acquire()
                if stopped:
                    return
                waiting.put(pool.submit(work, thing))
            waiting.put(None)
        except BaseException as e:  # the taker's to handle, whatever it is: here nobody would see it
            failed: Future[R] = Future()
            failed.set_exception(e)
            waiting.put(failed)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    feeder = Thread(target=feed, daemon=True)
    feeder.start()
    try:
        while (future := waiting.get()) is not None:
            room.release()
            yield future.result()
    finally:
        stopped = True
        room.release()
        feeder.join()
        pool.shutdown(cancel_futures=True)
