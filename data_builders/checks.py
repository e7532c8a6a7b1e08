"""What a record must pass on its way into a set: pure steps, each record -> record, or a Drop that says why not."""

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from facevlm.answer import Mode, parse
from facevlm.config import ConfigError
from facevlm.images import Box, ImageError, decode
from facevlm.prompts import asked_parts, gold, variant
from facevlm.record import Drop, FaceRecord, Split, faults
from facevlm.vocab import LABEL_SETS

Item = FaceRecord | Drop

_BATCH = 32
"""Pictures handed to a worker at once: some hundred milliseconds of work, so that passing them costs nothing."""


def well_formed(record: FaceRecord) -> Item:
    """Drops a record that is faulty in itself, see `facevlm.record.faults`."""
    found = faults(record)
    return Drop(record.id, "bad record", "; ".join(found)) if found else record


def picture_fault(path: Path, box: Box | None = None, video: bool = False) -> tuple[str, str] | None:
    """Why a picture cannot be used, as reason and detail; None if it decodes and the face box lies in it.

    Args:
        video: only look whether the file is there.
    """
    if video:
        return None if path.is_file() else ("file missing", str(path))
    try:
        width, height = decode(path).size
    except ImageError as e:
        return e.reason, str(e)
    if box is None:
        return None
    left, top, right, bottom = box
    outside = right <= 0 or bottom <= 0 or left >= width or top >= height
    # A box far larger than its picture is no face box, and cropping to it would take any amount of memory.
    if outside or max(right - left, bottom - top) > 2 * max(width, height):
        return "bad face box", f"{box} in {path}, which is {width} x {height}"
    return None


def _picture_faults(tasks: Sequence[tuple[Path, Box | None, bool]]) -> list[tuple[str, str] | None]:
    return [picture_fault(*task) for task in tasks]


def with_pictures(items: Iterable[Item], root: Path, workers: int) -> Iterator[Item]:
    """The items in their order, records with an unusable picture turned into Drops; decodes in `workers` processes.

    Raises:
        ConfigError: a worker was killed.
    """
    batches = _batches(items)
    if workers == 1:
        for batch in batches:
            yield from _settle(batch, _picture_faults(_tasks(batch, root)))
        return
    # Spawned, not forked: Arrow and tqdm run threads, whose locks a forked child would inherit in any state.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[list[Item], Future[list[tuple[str, str] | None]]]] = deque()
        try:
            for batch in batches:
                waiting.append((batch, pool.submit(_picture_faults, _tasks(batch, root))))
                if len(waiting) > 4 * workers:
                    yield from _settle(waiting[0][0], waiting.popleft()[1].result())
            while waiting:
                yield from _settle(waiting[0][0], waiting.popleft()[1].result())
        except BrokenProcessPool as e:
            raise ConfigError("a process that checks pictures was killed, most often for lack of memory; "
                              f"set `workers` below {workers}") from e  # fmt: skip


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _tasks(batch: Sequence[Item], root: Path) -> list[tuple[Path, Box | None, bool]]:
    return [(root / r.media, r.box, r.span is not None) for r in batch if isinstance(r, FaceRecord)]


def _settle(batch: Sequence[Item], found: Sequence[tuple[str, str] | None]) -> Iterator[Item]:
    answers = iter(found)
    for item in batch:
        fault = next(answers) if isinstance(item, FaceRecord) else None
        yield Drop(item.id, *fault) if fault else item


class Unique:
    """Drops a record whose source and id were seen before."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, record: FaceRecord) -> Item:
        key = record.source, record.id
        if key in self.seen:
            return Drop(record.id, "duplicate id", f"an earlier record of {record.source} has this id; it was kept")
        self.seen.add(key)
        return record


def gold_faults(record: FaceRecord, mode: Mode) -> list[str]:
    """How the right answer to a record fails to read back as its labels; empty if it reads back as it should.

    A record whose gold answer cannot score full marks would teach, and reward, the wrong thing.
    """
    parts = asked_parts(mode, record)
    try:
        text = gold(record, parts)
    except ValueError as e:
        return [str(e)]
    read = parse(text, parts, LABEL_SETS[record.label_set].labels if record.label_set else None)
    found = list(read.faults)
    if "au" in parts and (read.aus is None or tuple(sorted(read.aus)) != record.present_aus):
        found.append(f"AUs read back as {read.aus}, not {record.present_aus}")
    if "answer" in parts and read.emotion != record.emotion:
        found.append(f"the emotion reads back as {read.emotion}, not {record.emotion}")
    if "think" in parts and read.thinking != (record.rationale or "").strip():
        found.append("the rationale does not read back whole")
    return found


def answerable(record: FaceRecord, modes: Sequence[Mode]) -> Item:
    """Drops a record with no label that any of the modes asks for."""
    if modes and not any({"au", "answer"} & set(asked_parts(mode, record)) for mode in modes):
        return Drop(record.id, "no label", f"neither AUs nor an emotion that mode {' or '.join(modes)} could ask for")
    return record


def gold_holds(record: FaceRecord, modes: Sequence[Mode]) -> Item:
    """Drops a record whose gold answer does not read back as its labels in one of the modes."""
    found = [f"{mode}: {fault}" for mode in modes for fault in gold_faults(record, mode)]
    return Drop(record.id, "gold answer fails", "; ".join(found)) if found else record


@dataclass(frozen=True)
class SplitRule:
    """How records whose source gives no split get one."""

    by: Literal["subject", "record"] = "subject"
    """subject: a person is on one side only; a record without a subject goes by its id."""
    val: float = 0.1
    test: float = 0.2
    seed: int = 0
    allow_shared_subjects: bool = False
    """Accept a source that puts one person on both sides."""

    def __post_init__(self) -> None:
        if min(self.val, self.test) < 0 or self.val + self.test >= 1:
            raise ConfigError(f"val {self.val} and test {self.test} must be shares of 0 or more, together below 1")


def drawn_split(record: FaceRecord, rule: SplitRule) -> Split:
    """The split that the rule draws: it hangs on the key and the seed alone, so more data never moves a person."""
    key = record.subject if rule.by == "subject" and record.subject is not None else record.id
    share = variant(rule.seed, f"split:{key}", 10**6) / 10**6
    return "test" if share < rule.test else "val" if share < rule.test + rule.val else "train"


class Placer:
    """Gives records their split, and remembers which side each subject is on."""

    def __init__(self, rule: SplitRule) -> None:
        self.rule = rule
        self.seen: dict[tuple[str, str], Counter[Split]] = {}

    def __call__(self, record: FaceRecord) -> FaceRecord:
        split = record.split or drawn_split(record, self.rule)
        if record.subject is not None and (record.split or self.rule.by == "subject"):
            self.seen.setdefault((record.source, record.subject), Counter())[split] += 1
        return replace(record, split=split)

    def check(self) -> None:
        """Refuse a set in which one person is on two sides.

        Raises:
            ConfigError: names the subjects, and how many records each has where.
        """
        shared = {subject: counts for (_, subject), counts in sorted(self.seen.items()) if len(counts) > 1}
        if not shared or self.rule.allow_shared_subjects:
            return
        some = [f"{name} ({', '.join(f'{n} {split}' for split, n in sorted(counts.items()))})"
                for name, counts in list(shared.items())[:10]]  # fmt: skip
        raise ConfigError(f"{len(shared)} subjects are in more than one split: {', '.join(some)}"
                          f"{', …' if len(shared) > len(some) else ''}. A score on people seen in training says "
                          "little: leave out the source's split, and subjects are kept apart, or set "
                          "split.allow_shared_subjects=true")  # fmt: skip
