"""Labelled faces -> a folder of checked records.

    python -m data_builders.build --list
    python -m data_builders.build --inspect source=rafdb root=~/data/RAF-DB
    python -m data_builders.build --config configs/data/synthetic.yaml
    python -m data_builders.build source=rafdb root=~/data/RAF-DB out=data/rafdb rationale=template

--list shows the data sets that can be read; --inspect reads a folder without writing anything (without `source`, it
says which readers accept the folder).

A build reads the source's labels, decodes and hashes every picture, drops near-duplicates, writes rationales, and
puts out Parquet shards. What is dropped is kept with its reason in dropped.jsonl and counted in report.json; README.md
is the data card. The folder appears only when everything worked. Killed at any moment and started again with the same
command, a build goes on where it was and ends with the same bytes.
"""

import errno
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
from tqdm import tqdm

from data_builders import checks, duplicates, look, rationale, report
from data_builders.checks import Item, SplitRule
from data_builders.draft import Draft, Joined, write_drops
from data_builders.runner import Work, run
from data_builders.source import Note, Source
from data_builders.sources import SOURCES
from data_builders.teacher import Kind
from data_builders.teacher import check as teacher_keys
from facevlm import config as configs
from facevlm.answer import Mode
from facevlm.config import ConfigError, doc
from facevlm.record import Drop, FaceRecord, RecordWriter, write_meta

Step = Callable[[FaceRecord], Item]


@dataclass(frozen=True)
class Config:
    """The keys of a build."""

    source: str = doc("data set to read: a name that --list shows, or package.module:attribute of your own")
    out: str = doc("folder to make; the records' data set")
    root: str | None = doc("folder of the data set as its owner hands it out; null for a source that draws its own "
                           "pictures, which then lie inside out", default=None)  # fmt: skip
    options: dict[str, Any] = doc("handed to the source; --list names them", default_factory=dict)
    split: dict[str, Any] = doc("for records whose source gives no split: by (subject | record), val 0.1, test 0.2, "
                                "seed 0; val_of_train 0 takes a share of the subjects of a given train split for val; "
                                "allow_shared_subjects: true accepts one person on both sides of a given split",
                                default_factory=dict)  # fmt: skip
    machine_aus: dict[str, Any] | None = doc(
        "AUs estimated by a program, for records without human ones: tool (openface | pyfeat | libreface), files, and "
        "what data_builders/machine_aus.py lists", default=None)  # fmt: skip
    rationale: Literal["none", "template", "teacher", "policy"] = doc(
        "who writes a rationale where a record has none: template (from the labels), teacher (any vision-language "
        "model), policy (a model of yours, kept where it agrees with the labels)", default="none")  # fmt: skip
    teacher: dict[str, Any] = doc("the teacher's or policy's keys: model, engine, url, candidates, tries, "
                                  "budget_requests … see docs/rationales.md", default_factory=dict)  # fmt: skip
    modes: list[Mode] | None = doc("answer modes the records must serve: a record with no label to ask for is "
                                   "dropped, and its gold answer must read back as its labels; null = every label "
                                   "will do; [] = check none", default=None)  # fmt: skip
    check_images: bool = doc("decode and hash every picture; false trusts the files", default=True)
    faces: str | None = doc("hog, or package.module:function of yours: it is given each picture (Pillow, upright RGB, "
                            "cut to the face box) and says whether it shows a face; those without are dropped",
                            default=None)  # fmt: skip
    frames: int = doc("pictures to take of a clip, evenly spaced in time", default=8)
    near_duplicates: int | None = doc("bits (of 256) in which the hashes of two pictures may differ and still be the "
                                      "same picture; null = do not compare", default=12)  # fmt: skip
    against: list[str] = doc("other sets' folders: a training picture that is in their test or val split is dropped",
                             default_factory=list)  # fmt: skip
    limit: int | None = doc("read only this many rows of the source, to try a config", default=None)
    workers: int | None = doc("processes that decode pictures; null = one a core", default=None)
    ray: bool = doc("decode pictures, and ask the teacher, on a Ray cluster that sees the same folders", default=False)
    seed: int = doc("of the wording of rationales", default=0)
    shard_rows: int = doc("records in one Parquet file", default=50_000)
    chunk_rows: int | None = doc("rows between two points from which a killed build goes on; null = 1024 with a "
                                 "teacher, so that its engine is full, else 256, or 10000 without pictures",
                                 default=None)  # fmt: skip
    overwrite: bool = doc("replace a data set that `out` already holds, once the new one is whole", default=False)
    fresh: bool = doc("throw away what an unfinished build of `out` has done", default=False)

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in ("limit", "workers", "shard_rows", "chunk_rows", "frames")}
        found = [f"{name} is {n}; it must be 1 or more" for name, n in values.items() if n is not None and n < 1]
        if self.near_duplicates is not None and not 0 <= self.near_duplicates <= 40:
            found.append(f"near_duplicates is {self.near_duplicates}; beyond 0-40 of 256 bits, faces are just alike")
        if self.against and (self.near_duplicates is None or not self.check_images):
            found.append("against compares pictures; it needs check_images and near_duplicates")
        if self.teacher and self.writer is None:
            found.append(f"teacher is given, but rationale is {self.rationale}")
        try:
            _ = self.rule
        except ConfigError as e:
            found.append(str(e))
        if found:
            raise ConfigError("\n  ".join(found))

    @property
    def rule(self) -> SplitRule:
        """The `split` key, checked."""
        try:
            return configs.build(SplitRule, self.split)
        except ConfigError as e:
            raise ConfigError(f"split: {e}") from e

    @property
    def writer(self) -> Kind | None:
        """The kind of model that writes rationales; None if none does."""
        return None if self.rationale == "none" or self.rationale == "template" else self.rationale  # noqa: PIE810

    @property
    def asked(self) -> list[Mode]:
        """The modes, or the default for the kind of rationale."""
        if self.modes is not None:
            return self.modes
        return ["fast" if self.rationale == "none" else "explain"]


@dataclass(frozen=True)
class Inspection(Config):
    """The keys of a look at a folder: those of a build, none of them required."""

    source: str = doc("data set to read; empty = say which readers accept the folder", default="")
    out: str = doc("not written", default="")


def _root(config: Config) -> Path | None:
    if config.root is None:
        return None
    root = _absolute(config.root)
    if not root.is_dir():
        raise ConfigError(f"root {root} is not a folder; set `root` to the data set's folder, or to null for a "
                          "source that draws its own pictures")  # fmt: skip
    if not any(root.iterdir()):
        raise ConfigError(f"root {root} is an empty folder; unpack the data set there, or set `root` to where it is")
    return root


def _absolute(path: str) -> Path:
    # Workers on other machines start in other folders.
    return Path(os.path.abspath(Path(path).expanduser()))


def limited(items: Iterator[Item | Note], rows: int | None) -> Iterator[Item | Note]:
    """The first rows; notes do not count."""
    for item in items:
        yield item
        if rows is not None and not isinstance(item, Note):
            rows -= 1
            if rows <= 0:
                return


def _source(config: Config) -> Source:
    found = configs.plug(SOURCES, config.source, "source")
    if isinstance(found, Source):
        return found
    # A user's own reader may be a plain function.
    return Source(config.source, config.source, found, (), "unknown", "")


def opened(source: Source, root: Path, into: Path, options: dict[str, Any]) -> Iterator[Item | Note]:
    """The source's items; what it says about wrong options or files is the user's to read.

    Raises:
        ConfigError: wrong options, or files that are not what the source reads.
    """
    strict = pydantic.ConfigDict(strict=True, arbitrary_types_allowed=True)
    given = options | ({"into": into} if source.extracts else {})
    try:
        yield from pydantic.validate_call(config=strict)(source.read)(root, **given)
    except pydantic.ValidationError as e:
        known = ", ".join(name for name in inspect.signature(source.read).parameters if name not in ("root", "into"))
        lines = [f"options.{error['loc'][0]}: {error['msg']}, got {error['input']!r}" for error in e.errors()]
        raise ConfigError("\n  ".join([f"source {source.name} takes other options ({known}):", *lines])) from e
    except ConfigError:
        raise
    except ValueError as e:
        raise ConfigError(f"source {source.name}: {e}") from e


def _through(item: Item, steps: Sequence[Step]) -> Item:
    """A record through the steps, up to the first that drops it."""
    split = item.split
    for step in steps:
        if isinstance(item, Drop):
            return item if item.split else Drop(item.id, item.reason, item.detail, split)
        item = step(item)
    return item


def _machine_aus(config: Config, root: Path) -> list[Any]:
    if config.machine_aus is None:
        return []
    from data_builders.machine_aus import Join

    return [Join(root, config.machine_aus)]


def _explained(record: FaceRecord, config: Config) -> FaceRecord:
    if config.rationale != "template" or record.rationale is not None or not rationale.explainable(record):
        return record
    return replace(record, rationale=rationale.template(record, config.seed), rationale_by=rationale.NAME)


def _read(config: Config, draft: Draft, items: Iterator[Item | Note], root: Path,
          tally: report.Tally) -> Iterator[int]:  # fmt: skip
    """Labels -> chunk files of records, the number of each when it is written; all that hangs on labels alone."""
    placer = checks.Placer(config.rule)
    joined = _machine_aus(config, root)
    steps: list[Step] = [
        checks.well_formed,
        checks.Unique(),
        *joined,
        lambda record: checks.answerable(record, config.modes),
        lambda record: _explained(record, config),
        *([checks.GoldHolds(config.asked)] if config.writer is None else []),
        placer,
    ]
    chunk = draft.writer()
    for item in tqdm(items, desc=f"{config.source}: labels", unit=" rows", disable=None, mininterval=0.5):
        if isinstance(item, Note):
            tally.note(item.text)
            continue
        tally.read(item)
        yield from chunk.add(_through(item, steps))
    yield from chunk.close()
    placer.check()
    for join in joined:
        tally.note(join.summary())
    draft.labelled = True


def _look(config: Config, draft: Draft, chunks: Iterable[int], root: Path) -> None:
    """Decode, hash and cut clips into frames, in parallel, while labels are still being read."""
    make = partial(draft.examiner, root, config.frames, config.check_images, config.faces)
    _progress(config, draft, "pictures", make, chunks, config.workers or os.cpu_count() or 1)


def _explain(config: Config, draft: Draft, root: Path, kind: Kind) -> None:
    """Rationales by a teacher or policy; a chunk that is done is not asked again."""
    # A clip is shown whole, unless the config says otherwise.
    options = {"max_images": config.frames} | config.teacher if draft.clips else config.teacher
    make = partial(draft.explainer, root, kind, options, tuple(config.asked))
    # In this process: the engine inside is parallel by itself.
    _progress(config, draft, "rationales", make, range(draft.chunks), 1)


def _progress(config: Config, draft: Draft, stage: str, make: Callable[[], Work], chunks: Iterable[int],
              workers: int) -> None:  # fmt: skip
    todo = (chunk for chunk in chunks if not draft.path(stage, chunk).is_file())
    with tqdm(desc=f"{config.source}: {stage}", unit=" rows", unit_scale=draft.chunk_rows, disable=None) as bar:
        for _ in run(make, todo, workers, config.ray):
            bar.update()


def _settle(config: Config, draft: Draft, tally: report.Tally) -> dict[int, tuple[str, str]]:
    """What becomes of near-identical pictures, over the whole set."""
    if config.near_duplicates is None:
        return {}
    verdicts = duplicates.settle(draft.rows(), config.near_duplicates, config.against)
    tally.pairs = verdicts.counts
    return verdicts.dropped


def _put_out(config: Config, draft: Draft, tally: report.Tally, dropped: dict[int, tuple[str, str]]) -> None:
    for left in [*draft.set.glob("records-*.parquet"), draft.set / duplicates.HASHES]:
        left.unlink(missing_ok=True)  # of a build that was killed here; with another budget there may be fewer now
    writer, hashes = RecordWriter(draft.set, config.shard_rows), []

    def drops() -> Iterator[Drop]:
        for joined in map(partial(Joined.read, draft, dropped), range(draft.chunks)):
            yield from joined.drops
            tally.drop(joined.drops)
            tally.keep(joined.table)
            writer.add_table(joined.table)
            if joined.hashes is not None:
                hashes.append(joined.hashes)

    write_drops(draft.set / "dropped.jsonl", drops())
    writer.flush()
    if config.check_images and hashes:
        pq.write_table(pa.concat_tables(hashes).combine_chunks(), draft.set / duplicates.HASHES)


def _refuse_empty(config: Config, draft: Draft, tally: report.Tally) -> None:
    if tally.kept == 0:
        draft.worthless = True
        reasons = "".join(f"\n  {reason} {n}, e.g. {tally.examples[reason]}"
                          for reason, n in tally.dropped.most_common()) or " the source gave no rows"  # fmt: skip
        raise ConfigError(f"no record of source {config.source} was kept:{reasons}")


def _how(config: Config, tally: report.Tally) -> dict[str, str]:
    rule = config.rule
    alike = "not compared" if config.near_duplicates is None or not config.check_images else (
        f"hashes within {config.near_duplicates} of 256 bits are the same picture: "
        + (", ".join(f"{name} {n}" for name, n in sorted(tally.pairs.items())) or "none found"))  # fmt: skip
    return {
        "Source": f"`{config.source}` with options `{json.dumps(config.options, ensure_ascii=False)}`",
        "Splits": "as the source gives them; where it gives none, drawn by "
                  f"{rule.by} (seed {rule.seed}, val {rule.val:g}, test {rule.test:g})",
        "Pictures": "each one was decoded" if config.check_images else "not looked at",
        "Near-duplicates": alike,
        "Rationales": ", ".join(f"{n} by {who}" for who, n in sorted(tally.facts["rationale_by"].items())) or "none",
        "Gold check": "the right answer to every record was written in the answer form, read back and compared with "
                      f"its labels, in mode {', '.join(config.asked)}" if config.asked else "not made",
        "Presence": f"an action unit is present from intensity {', '.join(sorted(tally.facts['au_threshold']))}",
    }  # fmt: skip


def build(config: Config) -> report.Tally:
    """Make the data set; see the head of this file.

    Raises:
        ConfigError: wrong options, an unreadable root or label file, a person in two splits, no record kept.
        FileExistsError: `out` is not empty.
        OSError: the disk is full, or a folder cannot be written.
    """
    root, out = _root(config), _absolute(config.out)
    if root is not None and config.overwrite and out.exists() and root.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"overwrite would delete root {root}, which lies in out {out}; name another `out`")
    source = _source(config)
    duplicates.hash_files(config.against)  # before the work of hours
    if config.writer is not None:
        teacher_keys(config.writer, config.teacher)
    rows = config.chunk_rows or (1024 if config.writer else 256 if config.check_images else 10_000)
    with Draft.opened(out, asdict(config), rows, config.overwrite, config.fresh) as draft:
        tally = report.Tally(source)
        pictured = draft.set if root is None or source.extracts else root
        items = limited(opened(source, root or draft.set, draft.set, config.options), config.limit)
        chunks: Iterable[int] = _read(config, draft, items, pictured, tally)
        if not config.check_images:
            chunks = list(chunks)
        if config.check_images or draft.clips:
            _look(config, draft, chunks, pictured)
        dropped = _settle(config, draft, tally)
        if config.writer is not None:
            draft.settled(dropped)
            _explain(config, draft, pictured, config.writer)
        _put_out(config, draft, tally, dropped)
        _refuse_empty(config, draft, tally)
        write_meta(draft.set, None if pictured == draft.set else root, source=config.source, records=tally.kept)
        configs.write_resolved(config, draft.set)
        report.write(draft.set, out.name, tally, _how(config, tally))
    return tally


def main(argv: Sequence[str] | None = None) -> None:
    """The command; what the user can mend ends with one message and status 2."""
    given = list(sys.argv[1:] if argv is None else argv)
    if "--list" in given:
        print(look.table(SOURCES))
        return
    looking = "--inspect" in given
    if looking:
        given.remove("--inspect")
    config = configs.load(Inspection if looking else Config, __doc__, given)
    try:
        if looking:
            print(look.inspect(config, SOURCES))
            return
        tally = build(config)
    except (ConfigError, OSError) as e:
        full = isinstance(e, OSError) and e.errno == errno.ENOSPC
        free = f"the disk of {config.out} is full; free some space, and the same command goes on where it was ({e})"
        _stop(free if full else str(e))
    except KeyboardInterrupt:
        _stop("interrupted; the same command goes on where it was (fresh=true starts over)")
    print(f"{report.summary(tally)}\nwrote {config.out}")


def _stop(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
