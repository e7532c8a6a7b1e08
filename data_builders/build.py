"""Labelled faces -> a folder of checked records.

    python -m data_builders.build --config configs/data/synthetic.yaml
    python -m data_builders.build --config configs/data/table.yaml root=~/data/MySet out=data/myset

source -> record faults -> pictures -> duplicate ids -> rationale -> gold check -> split -> Parquet shards. What is
dropped is kept with its reason in dropped.jsonl and counted in report.json; README.md is the data card. The folder
appears only when everything worked. Left out: near-duplicate pictures, and people shared between two data sets.
"""

import errno
import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NoReturn

import pydantic
from tqdm import tqdm

from data_builders import checks, rationale, report
from data_builders.checks import Item, SplitRule
from data_builders.source import Source
from data_builders.sources import SOURCES
from facevlm import config as configs
from facevlm.answer import Mode
from facevlm.config import ConfigError, doc
from facevlm.record import Drop, FaceRecord, RecordWriter, whole_folder, write_meta

Step = Callable[[FaceRecord], Item]


@dataclass(frozen=True)
class Config:
    """The keys of a build."""

    source: str = doc(f"data set to read: {', '.join(SOURCES)}, or package.module:attribute of your own")
    out: str = doc("folder to make; the records' data set")
    root: str | None = doc("folder of the data set as its owner hands it out; null for a source that draws its own "
                           "pictures, which then lie inside out", default=None)  # fmt: skip
    options: dict[str, Any] = doc("handed to the source", default_factory=dict)
    split: dict[str, Any] = doc("for records whose source gives no split: by (subject | record), val 0.1, test 0.2, "
                                "seed 0; allow_shared_subjects: true accepts one person on both sides of a given "
                                "split", default_factory=dict)  # fmt: skip
    rationale: Literal["none", "template"] = doc("template: write a rationale from the labels where a record has none",
                                                 default="none")  # fmt: skip
    modes: list[Mode] | None = doc("answer modes the records must serve: a record with no label to ask for is "
                                   "dropped, and its gold answer must read back as its labels; null = explain if "
                                   "rationale is template, else fast; [] = keep all, check none",
                                   default=None)  # fmt: skip
    check_images: bool = doc("decode every picture; false trusts the files", default=True)
    limit: int | None = doc("read only this many rows of the source, to try a config", default=None)
    workers: int | None = doc("processes that decode pictures; null = one a core", default=None)
    seed: int = doc("of the wording of rationales", default=0)
    shard_rows: int = doc("records in one Parquet file", default=50_000)
    overwrite: bool = doc("replace a data set that `out` already holds, once the new one is whole", default=False)

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in ("limit", "workers", "shard_rows")}
        found = [f"{name} is {n}; it must be 1 or more" for name, n in values.items() if n is not None and n < 1]
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
    def asked(self) -> list[Mode]:
        """The modes, or the default for the kind of rationale."""
        if self.modes is not None:
            return self.modes
        return ["explain" if self.rationale == "template" else "fast"]


def _root(config: Config) -> Path | None:
    if config.root is None:
        return None
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise ConfigError(f"root {root} is not a folder; set `root` to the data set's folder, or to null for a "
                          "source that draws its own pictures")  # fmt: skip
    if not any(root.iterdir()):
        raise ConfigError(f"root {root} is an empty folder; unpack the data set there, or set `root` to where it is")
    return root


@contextmanager
def _target(out: Path, root: Path | None, overwrite: bool) -> Iterator[Path]:
    """The draft of `out`; what `overwrite` replaces stays until the draft is whole."""
    if not (overwrite and (out / "dataset.json").is_file()):
        with whole_folder(out) as draft:
            yield draft
        return
    if root is not None and root.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"overwrite would delete root {root}, which lies in out {out}; name another `out`")
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as aside:
        with whole_folder(Path(aside) / "new") as draft:
            yield draft
        out.rename(Path(aside) / "old")
        (Path(aside) / "new").rename(out)


def _opened(config: Config, root: Path) -> Iterator[Item]:
    """The source's items; what it says about wrong options or files is the user's to read."""
    plugged = configs.plug(SOURCES, config.source, "source")
    read = plugged.read if isinstance(plugged, Source) else plugged
    strict = pydantic.ConfigDict(strict=True, arbitrary_types_allowed=True)
    try:
        yield from islice(pydantic.validate_call(config=strict)(read)(root, **config.options), config.limit)
    except pydantic.ValidationError as e:
        known = ", ".join(name for name in inspect.signature(read).parameters if name != "root")
        lines = [f"options.{error['loc'][0]}: {error['msg']}, got {error['input']!r}" for error in e.errors()]
        raise ConfigError("\n  ".join([f"source {config.source} takes other options ({known}):", *lines])) from e
    except ConfigError:
        raise
    except ValueError as e:
        raise ConfigError(f"source {config.source}: {e}") from e


def _through(items: Iterable[Item], steps: Sequence[Step]) -> Iterator[Item]:
    """Each record through the steps, up to the first that drops it."""
    for item in items:
        for step in steps:
            if isinstance(item, Drop):
                break
            item = step(item)
        yield item


def _explained(record: FaceRecord, config: Config) -> FaceRecord:
    if config.rationale == "none" or record.rationale is not None or not (record.aus or record.emotion):
        return record
    return replace(record, rationale=rationale.template(record, config.seed), rationale_by=rationale.NAME)


def _refuse_empty(config: Config, tally: report.Tally) -> None:
    if tally.kept == 0:
        reasons = ", ".join(f"{reason} {n}" for reason, n in tally.dropped.most_common()) or "the source gave no rows"
        raise ConfigError(f"no record of source {config.source} was kept: {reasons}")


def _how(config: Config, tally: report.Tally) -> dict[str, str]:
    rule = config.rule
    return {
        "Source": f"`{config.source}` with options `{json.dumps(config.options, ensure_ascii=False)}`",
        "Splits": "as the source gives them; where it gives none, drawn by "
                  f"{rule.by} (seed {rule.seed}, val {rule.val:g}, test {rule.test:g})",
        "Pictures": "each one was decoded" if config.check_images else "not looked at",
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
    start = time.perf_counter()
    root, out = _root(config), Path(config.out).expanduser()
    workers = config.workers or os.cpu_count() or 1
    tally, placer = report.Tally(), checks.Placer(config.rule)
    with _target(out, root, config.overwrite) as draft:
        items = _through(_opened(config, root or draft), [checks.well_formed])
        if config.check_images:
            items = checks.with_pictures(items, root or draft, workers)
        steps: list[Step] = [
            checks.Unique(),
            lambda record: checks.answerable(record, config.asked),
            lambda record: _explained(record, config),
            lambda record: checks.gold_holds(record, config.asked),
            placer,
        ]
        writer = RecordWriter(draft, config.shard_rows)
        with (draft / "dropped.jsonl").open("w", encoding="utf-8") as dropped:
            for item in tqdm(_through(items, steps), desc=config.source, unit=" records", disable=None):
                tally.add(item)
                if isinstance(item, Drop):
                    dropped.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
                else:
                    writer.add(item)
        writer.flush()
        _refuse_empty(config, tally)
        placer.check()
        write_meta(draft, root, source=config.source, records=tally.kept)
        configs.write_resolved(config, draft)
        report.write(draft, out.name, tally, _how(config, tally), time.perf_counter() - start)
    return tally


def main(argv: Sequence[str] | None = None) -> None:
    """The command; what the user can mend ends with one message and status 2."""
    config = configs.load(Config, __doc__, argv)
    try:
        tally = build(config)
    except (ConfigError, OSError) as e:
        full = isinstance(e, OSError) and e.errno == errno.ENOSPC
        free = f"the disk of {config.out} is full; nothing was kept: free some space or name another `out` ({e})"
        _stop(free if full else str(e))
    except KeyboardInterrupt:
        _stop("interrupted; nothing was kept")
    print(f"{report.summary(tally)}\nwrote {config.out}")


def _stop(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
