"""Batches in memory: large uploads answered in the background, by nobody's connection.

Nothing touches the disk, so a batch ends with the service; what an engine drops is asked again.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from facevlm.serve.faces.analysis import Faces, Item, Job
from facevlm.serve.faces.schema import PictureAnswer, Why
from facevlm.serve.faults import ApiError

Status = Literal["queued", "running", "done"]

_AGAIN = 2.0
"""Seconds before a picture that met no engine is asked about again; doubled each time up to `_LONGEST_WAIT`."""
_LONGEST_WAIT = 30.0


@dataclass
class Batch:
    """One upload and what came of it."""

    id: str
    owner: str
    """Name of the key."""
    job: Job
    items: list[Item | None]
    """None: answered, and its picture forgotten."""
    lines: list[bytes | None]
    """JSON of a `PictureAnswer`, at the place of its picture."""
    created: float = field(default_factory=time.time)
    begun: bool = False
    failed: int = 0
    done: int = 0

    @property
    def status(self) -> Status:
        if self.done == len(self.lines):
            return "done"
        return "running" if self.begun else "queued"

    @property
    def size(self) -> int:
        """Bytes that are held for it."""
        return sum(len(item.source) for item in self.items if item) + sum(len(line) for line in self.lines if line)

    def results(self) -> Iterator[bytes]:
        """What is ready, in the order of the upload."""
        return (line + b"\n" for line in self.lines if line is not None)


class Batches:
    """All batches of a gateway, and the workers that go through them, the oldest first."""

    def __init__(self, faces: Faces) -> None:
        self._faces, self._settings = faces, faces.settings
        self._all: dict[str, Batch] = {}
        self._work: asyncio.Queue[tuple[Batch, int]] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    def add(self, owner: str, items: Sequence[Item], job: Job) -> Batch:
        """Take a batch.

        Raises:
            ApiError: 429, the key has as many as it may; 503, there is no memory for it now.
        """
        self._forget_old()
        own = [batch for batch in self._all.values() if batch.owner == owner]
        if len(own) >= self._settings.batch_jobs:
            raise ApiError(429, f"this key has {len(own)} batches, which is all it may; delete one that is done",
                           "too_many_batches", retry_after=60)  # fmt: skip
        batch = Batch(f"batch_{secrets.token_hex(12)}", owner, job, list(items), [None] * len(items))
        held = sum(one.size for one in self._all.values()) + batch.size
        if held > self._settings.batch_mb * 2**20:
            raise ApiError(503, f"batches may hold {self._settings.batch_mb:g} MiB together; try again when others "
                           "are done", "overloaded", retry_after=60)  # fmt: skip
        self._all[batch.id] = batch
        for i in range(len(items)):
            self._work.put_nowait((batch, i))
        self._start()
        return batch

    def find(self, id: str, owner: str) -> Batch:
        """A batch of the key's own.

        Raises:
            ApiError: 404, there is none, or it is another's, or too old.
        """
        self._forget_old()
        batch = self._all.get(id)
        if batch is None or batch.owner != owner:
            raise ApiError(404, "there is no such batch", "not_found")
        return batch

    def delete(self, batch: Batch) -> None:
        """Forget a batch; what is not answered yet is not asked."""
        self._all.pop(batch.id, None)
        batch.items[:] = [None] * len(batch.items)

    def expires(self, batch: Batch) -> float:
        """When it is forgotten, in Unix seconds."""
        return batch.created + self._settings.batch_seconds

    def _forget_old(self) -> None:
        now = time.time()
        for batch in [one for one in self._all.values() if self.expires(one) <= now]:
            self.delete(batch)

    def _start(self) -> None:
        self._workers = [worker for worker in self._workers if not worker.done()]
        while len(self._workers) < self._settings.batch_parallel:
            self._workers.append(asyncio.create_task(self._go_on()))

    async def _go_on(self) -> None:
        """Answer until nothing is left."""
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                batch, place = self._work.get_nowait()
                item = batch.items[place]
                if item is not None:
                    batch.begun = True
                    await self._answer(batch, place, item)

    async def _answer(self, batch: Batch, place: int, item: Item) -> None:
        wait = _AGAIN
        while batch.id in self._all:
            try:
                answer = await self._faces.picture(place, item, batch.job)
            except ApiError as e:
                answer = _failed(place, item, e.code, e.message)
            except Exception as e:  # one picture must not end the worker of all others
                answer = _failed(place, item, "internal_error", f"something went wrong here: {type(e).__name__}")
            if not _engine_lost(answer) or time.time() + wait > self.expires(batch):
                break
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        else:
            return
        batch.lines[place], batch.items[place] = answer.model_dump_json().encode(), None
        batch.done += 1
        batch.failed += answer.error is not None


def _failed(place: int, item: Item, reason: str, message: str) -> PictureAnswer:
    return PictureAnswer(index=place, id=item.id, width=None, height=None, error=Why(reason=reason, message=message))


def _engine_lost(answer: PictureAnswer) -> bool:
    """Whether a face went without an answer for a reason that passes: an engine that starts, or too much to do."""
    return any(face.error is not None and face.error.reason in ("engine_lost", "overloaded", "starting")
               for face in answer.faces)  # fmt: skip
