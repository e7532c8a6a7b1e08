"""The command's course: look at the inputs, do the parts that are missing, write what follows from all."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from facevlm import generate
from facevlm.analyze.answering import analyze
from facevlm.analyze.inputs import TABLES, find, listing, selected
from facevlm.analyze.looking import End, Looked, fetch, looking
from facevlm.analyze.on_ray import analyze_on_ray
from facevlm.analyze.output import finish
from facevlm.analyze.rows import Row, schema
from facevlm.analyze.settings import Config, Job, job
from facevlm.analyze.store import Facts, Store
from facevlm.analyze.tables import columns
from facevlm.detect import Detector, detector
from facevlm.generate import Generator, Request, Scripted

Done = Iterator[tuple[End, list[Row]]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run left."""

    facts: Facts
    """Of all parts that are there, those of earlier runs and other shares included."""
    done: int
    """Pictures of this run."""
    tracks: Path | None
    """The file of tracks, where there were videos and all parts are there."""
    missing: int
    """Parts that other shares have yet to write."""


def run(config: Config, generator: Generator | None = None) -> Summary:
    """Analyse what the config names and write it; `generator` replaces the config's model and engine.

    Raises:
        ConfigError, FileNotFoundError, ValueError: what was given cannot work.
    """
    found = find(config.inputs)
    kinds = columns([path for path in found if path.suffix.lower() in TABLES], config.column, config.carry)
    if next(listing(found, config), None) is None:
        raise ValueError(f"no pictures in {', '.join(config.inputs)}")
    this = job(config, None if generator is None else generator.engine)
    faces = detector(config.detector, config.detector_options)
    store = Store(config.parts_folder, schema(kinds), config.part, config.share)
    store.open(this.fingerprint)
    pictures = 0
    try:
        bar: tqdm[Any]
        with tqdm(desc="faces", unit="img") as bar:
            for end, rows in _course(this, store, found, faces, generator, bar):
                made = [row | {"provenance": this.provenance} for row in rows]
                store.write(end.part, made, end.pictures, end.digest)
                pictures += end.pictures
    except BaseException:
        if not store.parts() and not config.shard:
            store.clear()  # there is nothing to go on with
        raise
    facts = sum((store.facts(part) for part in store.parts()), Facts())
    missing = store.expected - len(store.parts())
    return Summary(facts, pictures, None if missing else finish(config, store), missing)


def _course(job: Job, store: Store, found: Sequence[Path], faces: Detector, generator: Generator | None,
            bar: "tqdm[Any]") -> Done:  # fmt: skip
    """The parts that are missing of this share."""
    if job.config.ray and generator is None:
        for _ in fetch(selected(found, job.config), store, ()):
            pass  # nothing is wanted yet: only the finished parts are checked, and all parts counted
        missing = [part for part in range(store.expected) if not store.has(part)]
        for done in analyze_on_ray(job, store, found, missing) if missing else ():
            bar.update(done[0].pictures)
            yield done
        generator = Scripted(_unexpected)  # what is missing still shows no face
    with closing(looking(job, faces, fetch(selected(found, job.config), store))) as looked:
        if (first := next(looked, None)) is not None:
            # Only now: an engine is not loaded where nothing is left to do.
            engine = generator or generate.engine(job.config.model, job.config.engine)
            yield from analyze(job, engine, _shown(itertools.chain((first,), looked), bar))


def _unexpected(request: Request) -> str:
    raise RuntimeError("Ray left out a part that shows faces; the same command goes on")


def _shown(looked: Iterable[Looked | End], bar: "tqdm[Any]") -> Iterator[Looked | End]:
    """What was looked at, with the bar moving along; it stands up to a batch ahead of the answers."""
    failed = 0
    for thing in looked:
        yield thing
        if isinstance(thing, Looked):
            bar.update()
            if some := sum(row["error"] is not None for row, _ in thing.rows):
                failed += some
                bar.set_postfix(failed=failed)
