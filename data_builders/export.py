"""Records -> files that other trainers and harnesses read.

    python -m data_builders.export records=data/rafdb out=export/rafdb format=trl tasks.explain=2 tasks.label=1
    python -m data_builders.export records=data/rafdb out=export/swift format=ms-swift balance=0.5
    python -m data_builders.export --config configs/export/lmms-disfa.yaml records=data/disfa out=export/disfa

Questions and right answers are those that facevlm.sft trains on and eval.run asks. Pictures stay where they are, named
by path; only `hub` puts them into the files, and only where every licence allows passing them on. The folder appears
only when everything worked. What it holds and how to load it is in its README.md; docs/exports.md explains the rest.
"""

import errno
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

from data_builders import outgoing, report
from data_builders.exports import FORMATS
from data_builders.outgoing import Export, Format
from facevlm import config as configs
from facevlm import mix, record
from facevlm.config import ConfigError, doc
from facevlm.images import ImageError
from facevlm.prompts import applies, why_not
from facevlm.record import FaceRecord, Split
from facevlm.vocab import PROTOCOLS


@dataclass(frozen=True)
class Config:
    """The keys of an export."""

    records: str = doc("folder made by data_builders.build")
    out: str = doc("folder to make")
    format: str = doc(" | ".join(FORMATS) + ", or package.module:attribute of your own")
    splits: list[Literal["train", "val", "test"]] | None = doc(
        "which splits, a file each; null = all that there are, for lmms-eval the test split", default=None)
    tasks: dict[str, float] = doc("what to ask: weight by task of docs/tasks.md; lmms-eval makes a task of each",
                                  default_factory=lambda: {"explain": 1.0})  # fmt: skip
    balance: float = doc("0 = classes of a task as frequent as in the data, 1 = all alike; training split alone",
                         default=0.0)  # fmt: skip
    au_protocol: str | None = doc(f"hold AUs to the AUs and the threshold of a protocol: {', '.join(PROTOCOLS)}; null "
                                  "= all that are labelled", default=None)  # fmt: skip
    per_record: int = doc("how many different tasks each record is asked at most", default=1)
    seed: int = doc("of draws and of the wordings in the training split", default=0)
    limit: int | None = doc("use only the first so many records of each split", default=None)
    paths: Literal["absolute", "relative"] = doc("how pictures are named", default="absolute")
    media_root: str | None = doc("folder that relative paths start from; null = the records' root, or, where crops "
                                 "writes pictures, the folder that holds it and `out`", default=None)  # fmt: skip
    crops: bool = doc("write anew, below `out`, the pictures that other trainers would show otherwise: with a face "
                      "box, a frame of a video, turned by EXIF, transparent, of 16 bit; false refuses them",
                      default=False)  # fmt: skip
    push: str | None = doc("owner/name on the Hub to upload to; format hub alone", default=None)

    def __post_init__(self) -> None:
        found = []
        if self.limit is not None and self.limit < 1:
            found.append(f"limit is {self.limit}; it must be 1 or more")
        if self.splits == []:
            found.append("splits is empty; name some, or leave it out for all")
        if self.media_root is not None and self.paths == "absolute":
            found.append("media_root is given, but paths is absolute; set paths=relative")
        if self.push is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.push):
            found.append(f"push is {self.push!r}; it must be owner/name")
        if self.au_protocol not in (None, *PROTOCOLS):
            found.append(f"au_protocol is {self.au_protocol!r}; known: {', '.join(PROTOCOLS)}")
        try:
            mix.check(self.tasks, self.per_record, self.balance)
        except ConfigError as e:
            found.append(str(e))
        if found:
            raise ConfigError("\n  ".join(found))


def plan(config: Config, form: Format) -> Export:
    """Read the records and draw which is asked what.

    Raises:
        ConfigError: the folder or a split is not there, or no record can be asked any of the tasks.
    """
    try:
        found = record.read(Path(config.records).expanduser())
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(str(e)) from e
    by_split: dict[Split, list[FaceRecord]] = {}
    for item in found.records:
        by_split.setdefault(item.split, []).append(item)
    wanted: Sequence[Split] = config.splits or [split for split in form.splits if split in by_split]
    if missing := [split for split in wanted or form.splits if split not in by_split]:
        raise ConfigError(f"{config.records} has no records in split {', '.join(missing)}; it has "
                          f"{', '.join(sorted(by_split))}: name one in `splits`")  # fmt: skip
    tasks = [name for name, weight in config.tasks.items() if weight]
    out = Path(os.path.abspath(Path(config.out).expanduser()))
    export = Export(out.name, out, found, {}, tasks, config.seed, config.push)
    for split in wanted:
        some = [_held_to(config.au_protocol, item) for item in by_split[split][: config.limit]]
        export.rows[split] = _drawn(config, form, split, some, tasks)
        served = {id(item) for item, _ in export.rows[split]}
        export.left_out.update("; ".join(dict.fromkeys(str(why_not(item, name)) for name in tasks))
                               for item in some if id(item) not in served)  # fmt: skip
    if not any(export.rows.values()):
        raise ConfigError(f"no record of split {', '.join(wanted)} can be asked {'/'.join(tasks)}: "
                          f"{dict(export.left_out)}")  # fmt: skip
    return export


def _held_to(name: str | None, item: FaceRecord) -> FaceRecord:
    """A record with the AUs and the threshold of a protocol alone."""
    if name is None:
        return item
    aus, threshold = PROTOCOLS[name].aus, PROTOCOLS[name].threshold
    return replace(item, aus={n: level for n, level in item.aus.items() if n in aus}, au_threshold=threshold)


def _drawn(config: Config, form: Format, split: Split, records: Sequence[FaceRecord],
           tasks: list[str]) -> list[mix.Row]:  # fmt: skip
    if not form.seed:
        return [(item, task) for task in tasks for item in records if applies(item, task)]
    balance = config.balance if split == "train" else 0.0
    return mix.mix(records, config.tasks, config.seed, config.per_record, balance)


def _base(config: Config, export: Export) -> Path | None:
    """The folder that paths start from.

    Raises:
        ConfigError: pictures lie outside it.
    """
    if config.paths == "absolute":
        return None
    inside = [os.path.abspath(export.records.root), *([str(export.out)] if export.copies else [])]
    if config.media_root is None:
        return Path(os.path.commonpath(inside))
    base = os.path.abspath(Path(config.media_root).expanduser())
    if outside := [folder for folder in inside if os.path.commonpath([folder, base]) != base]:
        raise ConfigError(f"pictures lie in {' and '.join(outside)}, not below media_root {base}; name a folder "
                          "above, or set paths=absolute")  # fmt: skip
    return Path(base)


def export(config: Config) -> Export:
    """Make the export; see the head of this file.

    Raises:
        ConfigError: no such records or nothing to ask, pictures that other tools would show otherwise, or licences
            that forbid it.
        FileExistsError: `out` is not empty.
        OSError: the disk is full, or a folder cannot be written.
    """
    form = configs.plug(FORMATS, config.format, "format")
    if not form.seed and (config.balance or config.per_record != 1):
        raise ConfigError(f"balance and per_record are for training; {config.format} asks every record each task once")
    if config.push is not None and form.upload is None:
        raise ConfigError(f"push is given, but format is {config.format}; only hub makes files that may be passed on")
    made = plan(config, form)
    form.check(made)
    with record.whole_folder(made.out) as folder:
        pictures = made.every_picture()
        found = outgoing.examine(pictures, made.name)
        if config.crops:
            made.copies = {p: str(made.out / "images" / outgoing.file_name(i)) for i, p in enumerate(found)}
        elif not form.as_facevlm:
            outgoing.refuse(found)
        made.base = _base(config, made)
        if made.copies and not form.embeds:
            outgoing.copy(list(made.copies), folder / "images", made.name)
        form.write(made, folder)
        configs.write_resolved(config, folder)
        (folder / "README.md").write_text(readme(made, form, config), encoding="utf-8")
    if config.push is not None and form.upload is not None:
        form.upload(made.out, config.push)
    return made


def _counts(made: Export) -> str:
    served = {split: {id(item): item for item, _ in rows} for split, rows in made.rows.items()}
    asked = {split: Counter(task for _, task in rows) for split, rows in made.rows.items()}
    under = Counter((item.source, item.licence) for items in served.values() for item in items.values())
    parts = [
        report.grid(["split", "records", *(f"rows of `{task}`" for task in made.tasks)],
                    [[split, len(served[split]), *(n[task] for task in made.tasks)] for split, n in asked.items()]),
        report.grid(["source", "licence", "records"], [[*names, n] for names, n in sorted(under.items())]),
    ]  # fmt: skip
    if made.left_out:
        parts.append(report.grid(["left out because", "times"], [[r, n] for r, n in made.left_out.most_common()]))
    return "\n\n".join(parts)


def readme(made: Export, form: Format, config: Config) -> str:
    """What the export is, how to load it, under which licences."""
    where = "absolute: this folder may move, they may not" if made.base is None else f"relative to `{made.base}`"
    named = "The files hold the pictures." if form.embeds else f"Paths of pictures are {where}."
    into = "" if form.embeds else " into `images/`"
    anew = (f"\n\n{len(made.copies)} pictures were written anew{into}, cut to the face box, upright, of 8 bit, as "
            "facevlm shows them. **They are parts of the sources' pictures and under the same licences: do not pass "
            "them on where those forbid it.**") if made.copies else ""  # fmt: skip
    return f"""{form.front(made)}# {made.name}

Labelled faces as questions and answers, for {form.title}; made by `facevlm` from the records
`{Path(config.records).name}`. Every setting: `config.yaml`. {named}{anew}

## Load it

{form.load(made)}

## What is in it

{_counts(made)}

{report.USES}"""


def main(argv: Sequence[str] | None = None) -> None:
    """The command; what the user can mend ends with one message and status 2."""
    config = configs.load(Config, __doc__, argv)
    try:
        made = export(config)
        print(summary(made))
    except (ConfigError, ImageError, OSError) as e:
        full = isinstance(e, OSError) and e.errno == errno.ENOSPC
        _stop(f"the disk of {config.out} is full; nothing was left there ({e})" if full else str(e))
    except KeyboardInterrupt:
        _stop(f"interrupted; nothing was left in {config.out}")


def summary(made: Export) -> str:
    """A few lines for the screen."""
    lines = [f"{split}: {len(rows)} rows of {len({id(item) for item, _ in rows})} records"
             for split, rows in made.rows.items()]  # fmt: skip
    if made.left_out:
        lines.append(f"left out {made.left_out.total()}: {dict(made.left_out)}")
    if made.copies:
        lines.append(f"{len(made.copies)} pictures written anew; pass them on only where the licences allow it")
    return "\n".join([*lines, f"wrote {made.out}; how to load it: {made.out / 'README.md'}"])


def _stop(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
