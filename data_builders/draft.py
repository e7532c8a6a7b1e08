"""An unfinished build: the folder beside `out` in which the stages leave their files, chunk by chunk.

    .<out>.building/
        settings.json          what is being built; another command is refused, the same one goes on
        set/                   what becomes `out`: drawn pictures, records, report
        labels/00000.parquet   records of 256 (or 10,000) rows of the source, with 00000.jsonl of what was dropped
        pictures/00000.parquet      what was found when looking at their pictures, row for row
        rationales/00000.parquet    what the teacher wrote, row for row

A file is there whole or not at all, and hangs on the settings and the source alone: so a build that is killed and
started again does what is missing, and ends with the same bytes.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import facevlm
from data_builders import checks, pictures
from data_builders.duplicates import Rows
from data_builders.runner import Work
from data_builders.teacher import Kind, Teacher, make
from facevlm.answer import Mode
from facevlm.config import ConfigError, plug
from facevlm.detect import DEFAULT, shows_face
from facevlm.record import SCHEMA, Drop, FaceRecord, from_row, to_table, whole_file

Dropped = Mapping[int, tuple[str, str]]
"""Place of a record in the whole set -> reason and detail."""

_DETECTORS: dict[str, pictures.ShowsFace] = {DEFAULT: shows_face}
"""The one that needs no model file; docs/detection.md."""
_SAME = ("workers", "ray", "overwrite", "fresh")
"""Settings that do not change what comes out."""
_BUDGET = ("budget_requests", "budget_tokens", "concurrency", "timeout", "retries", "api_key_env", "url")

RATIONALES = pa.schema([("rationale", pa.string()), ("rationale_by", pa.string()), ("reason", pa.string()),
                        ("detail", pa.string())])  # fmt: skip


@dataclass
class Draft:
    """The folder of an unfinished build; it pickles, for the workers that fill it."""

    folder: Path
    chunk_rows: int
    """Rows of the source in one chunk."""
    chunks: int = 0
    clips: bool = False
    """Whether any record is a clip that must be turned into frames."""
    resumed: bool = False
    """Whether an earlier build began it."""
    labelled: bool = False
    """Whether all labels were read, so that the settings do work."""
    worthless: bool = False
    """Whether nothing in it is of use for going on."""

    @classmethod
    @contextmanager
    def opened(cls, out: Path, settings: dict[str, Any], chunk_rows: int, overwrite: bool,
               fresh: bool) -> "Iterator[Draft]":  # fmt: skip
        """The draft of `out`, begun or gone on with; it becomes `out` if nothing fails.

        What `overwrite` replaces stays until the draft is whole. What ends before a picture was looked at, or over
        settings that cannot work, leaves nothing; after that the draft stays, to go on from.

        Raises:
            FileExistsError: `out` is not empty.
            ConfigError: another build is at work there, or an unfinished one has other settings.
        """
        folder = out.parent / f".{out.name}.building"
        if not folder.is_dir():
            _refuse_full(out, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(folder / "lock", timeout=0):
                draft = cls(folder, chunk_rows)
                draft._recover(out)
                try:
                    _refuse_full(out, overwrite)
                except FileExistsError:
                    if not draft.set.is_dir():
                        shutil.rmtree(folder)
                    raise
                draft._begin(_fingerprint(settings), fresh)
                try:
                    yield draft
                    draft._finish(out)
                except ConfigError:
                    # What was begun just now with settings that cannot work is of no use.
                    draft.worthless = draft.worthless or not (draft.resumed or draft.labelled)
                    raise
                except BaseException:
                    draft.worthless = draft.worthless or not draft._done_anything()
                    raise
                finally:
                    if draft.worthless:
                        shutil.rmtree(folder)
        except filelock.Timeout as e:
            raise ConfigError(f"another build of {out} is at work; wait for it, or name another `out`") from e

    def _recover(self, out: Path) -> None:
        """Bring in order what a build left that was killed while its set took its place."""
        replaced = self.folder / "replaced"
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        if not self.set.is_dir():  # it has become `out`, or nothing was begun: there is nothing to go on with
            for entry in self.folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != "lock":
                    entry.unlink()

    def _begin(self, fingerprint: str, fresh: bool) -> None:
        state = self.folder / "settings.json"
        if fresh or not state.is_file():
            for entry in self.folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
        elif (before := state.read_text(encoding="utf-8")) != fingerprint:
            old, new = json.loads(before), json.loads(fingerprint)
            other = ", ".join(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
            raise ConfigError(f"{self.folder} holds an unfinished build with other settings ({other}; all are in its "
                              "settings.json); give the same ones to go on, or fresh=true to start over")  # fmt: skip
        else:
            self.resumed = True
        for stage in ("set", "labels", "pictures", "rationales"):
            (self.folder / stage).mkdir(exist_ok=True)
        with whole_file(state) as file:
            file.write_text(fingerprint, encoding="utf-8")

    def _done_anything(self) -> bool:
        return any(any(self.folder.glob(f"{stage}/*.parquet")) for stage in ("pictures", "rationales"))

    def _finish(self, out: Path) -> None:
        for left in self.set.rglob(".*"):
            if re.search(r"-[0-9]+$", left.name) and left.is_file():  # half-written, by a process that was killed
                left.unlink()
        if out.exists():
            out.rename(self.folder / "replaced") if any(out.iterdir()) else out.rmdir()
        self.set.rename(out)
        self.worthless = True

    @property
    def set(self) -> Path:
        """What becomes the data set's folder."""
        return self.folder / "set"

    def path(self, stage: str, chunk: int) -> Path:
        """The file of a chunk in a stage."""
        return self.folder / stage / f"{chunk:05d}.parquet"

    def writer(self) -> "ChunkWriter":
        """Takes the source's items and writes chunks of labels."""
        return ChunkWriter(self)

    def place(self, chunk: int, row: int) -> int:
        """A record's place in the whole set."""
        return chunk * self.chunk_rows + row

    def examiner(self, root: Path, frames: int, decoding: bool, faces: str | None = None) -> Work:
        """Looks at a chunk's pictures; a detector is loaded once."""
        detector = None if faces is None else plug(_DETECTORS, faces, "face detector")
        return partial(self._examine, root=root, frames=frames, decoding=decoding, detector=detector)

    def _examine(self, chunk: int, root: Path, frames: int, decoding: bool,
                 detector: pictures.ShowsFace | None) -> None:  # fmt: skip
        pictures.examine(self.path("labels", chunk), self.path("pictures", chunk), root, frames, decoding, detector)

    def findings(self, chunk: int) -> pa.Table | None:
        """What was found in a chunk's pictures; None if nobody looked."""
        path = self.path("pictures", chunk)
        return pq.read_table(path) if path.is_file() else None

    def rows(self) -> Rows:
        """What is compared to find near-identical pictures, over the whole set."""
        rows = Rows()
        for chunk in range(self.chunks):
            if (found := self.findings(chunk)) is None:
                continue
            columns = ["id", "media", "subject", "split", "emotion"]
            table = pq.read_table(self.path("labels", chunk), columns=columns).to_pydict()
            for row, code in enumerate(found["hash"].to_pylist()):
                if code is not None:
                    rows.index.append(self.place(chunk, row))
                    rows.hash.append(code)
                    rows.label.append(table["emotion"][row])
                    for name in ("id", "media", "subject", "split"):
                        getattr(rows, name).append(table[name][row])
        return rows

    def settled(self, dropped: Dropped) -> None:
        """Leave word of what near-duplicates lead to, for those who write rationales."""
        with whole_file(self.folder / "dropped.json") as file:
            file.write_text(json.dumps(dict(dropped)))

    def explainer(self, root: Path, kind: Kind, options: dict[str, Any], modes: Sequence[Mode]) -> Work:
        """Has a teacher write a chunk's rationales; the engine is loaded once."""
        dropped = {int(k): tuple(v) for k, v in json.loads((self.folder / "dropped.json").read_text()).items()}
        spent: Counter[str] = Counter()
        for path in sorted(self.folder.glob("rationales/*.parquet")):
            spent.update(json.loads(pq.read_schema(path).metadata[b"spent"]))
        spent.update(self._lost())
        teacher = make(kind, options, spent)
        return partial(self._explain, teacher=teacher, root=root, dropped=dropped, modes=modes)

    def _lost(self) -> Counter[str]:
        """What was spent on chunks that did not get whole."""
        path = self.folder / "rationales/lost.json"
        return Counter(json.loads(path.read_text())) if path.is_file() else Counter()

    def _explain(self, chunk: int, teacher: Teacher, root: Path, dropped: Dropped, modes: Sequence[Mode]) -> None:
        before = Counter(teacher.spent)
        joined = Joined.read(self, dropped, chunk)
        asked = np.flatnonzero(joined.table["rationale"].is_null().to_numpy()).tolist()
        records = [from_row(row) for row in joined.table.take(pa.array(asked, pa.int64())).to_pylist()]
        holds = checks.GoldHolds(modes)
        found: list[dict[str, Any]] = [{}] * pq.read_metadata(self.path("labels", chunk)).num_rows
        try:
            written = teacher.write(records, root)
        except BaseException:
            # Asked and paid for, though nothing of this chunk is kept: the budget must know.
            with whole_file(self.folder / "rationales/lost.json") as draft:
                draft.write_text(json.dumps(self._lost() + Counter(teacher.spent) - before))
            raise
        for i, item in zip(asked, written, strict=True):
            item = holds(item) if isinstance(item, FaceRecord) else item
            found[joined.places[i]] = ({"reason": item.reason, "detail": item.detail} if isinstance(item, Drop) else
                        {"rationale": item.rationale, "rationale_by": item.rationale_by})  # fmt: skip
        spent = {name: n - before[name] for name, n in teacher.spent.items()}
        table = pa.Table.from_pylist(found, schema=RATIONALES)
        with whole_file(self.path("rationales", chunk)) as draft:
            pq.write_table(table.replace_schema_metadata({"spent": json.dumps(spent)}), draft)


class ChunkWriter:
    """Collects items and writes a chunk whenever it is full; a chunk that is there already is only compared."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._records: list[FaceRecord] = []
        self._drops: list[Drop] = []

    def add(self, item: FaceRecord | Drop) -> Iterator[int]:
        """Take one item; gives the number of the chunk that it fills."""
        if isinstance(item, Drop):
            self._drops.append(item)
        else:
            self._records.append(item)
            # By name alone, for a folder of frames has no ending and a picture has.
            self.draft.clips = self.draft.clips or (not item.frames and pictures.is_clip(item.media))
        return self.close() if len(self._records) + len(self._drops) >= self.draft.chunk_rows else iter(())

    def close(self) -> Iterator[int]:
        """Write what is left, and give the number of its chunk.

        Raises:
            ConfigError: the source gives other records than when the build began.
        """
        if not self._records and not self._drops:
            return
        path, table = self.draft.path("labels", self.draft.chunks), to_table(self._records)
        drops = path.with_suffix(".jsonl")
        if path.is_file():
            if not (pq.read_table(path, schema=SCHEMA).equals(table) and read_drops(drops) == self._drops):
                raise ConfigError(f"the source's files have changed since this build began (chunk {path.stem}); start "
                                  "over with fresh=true")  # fmt: skip
        else:
            with whole_file(drops) as file:
                write_drops(file, self._drops)
            with whole_file(path) as file:
                pq.write_table(table, file)
        self._records, self._drops = [], []
        self.draft.chunks += 1
        yield self.draft.chunks - 1


def write_drops(path: Path, drops: Iterable[Drop]) -> None:
    """Write one JSON object a line; names of files that are no text go in as escapes, and come back as they were."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(json.dumps(asdict(drop), ensure_ascii=False) + "\n" for drop in drops)


def read_drops(path: Path) -> list[Drop]:
    """The drops that `write_drops` wrote."""
    # Line by line as files go: str.splitlines would also cut inside a text, at a Unicode line separator.
    with path.open(encoding="utf-8") as file:
        return [Drop(**json.loads(line)) for line in file]


@dataclass
class Joined:
    """A chunk with all that the stages found: the records that are kept, and everything that was dropped."""

    table: pa.Table
    places: list[int]
    """Row of each kept record in its chunk."""
    hashes: pa.Table | None
    """id, split and hash of the kept records that have one, for other sets to be compared with; None if nobody
    looked."""
    drops: list[Drop]

    @classmethod
    def read(cls, draft: Draft, dropped: Dropped, chunk: int) -> "Joined":
        """Join the files of a chunk."""
        path = draft.path("labels", chunk)
        table, found = pq.read_table(path, schema=SCHEMA), draft.findings(chunk)
        drops = read_drops(path.with_suffix(".jsonl"))
        gone: dict[int, tuple[str, str]] = {}
        if found is not None:
            gone = _reasons(found)
            table = _with_sizes(_with_frames(table, found), found)
        first = draft.place(chunk, 0)
        gone |= {i: dropped[first + i] for i in range(len(table)) if first + i in dropped}
        if draft.path("rationales", chunk).is_file():
            written = pq.read_table(draft.path("rationales", chunk))
            gone |= _reasons(written)
            table = _with_rationales(table, written)
        names, splits = table["id"], table["split"]
        drops += [Drop(names[i].as_py(), *gone[i], split=splits[i].as_py()) for i in sorted(gone)]
        places = [i for i in range(len(table)) if i not in gone]
        kept = pa.array(places, pa.int64())
        if gone:
            table = table.take(kept)
        hashes = None
        if found is not None:
            hashes = table.select(["id", "split"]).append_column("hash", found["hash"].take(kept))
            hashes = hashes.filter(hashes["hash"].is_valid())
        return cls(table, places, hashes, drops)


def _reasons(found: pa.Table) -> dict[int, tuple[str, str]]:
    rows = np.flatnonzero(found["reason"].is_valid().to_numpy(zero_copy_only=False))
    return {int(i): (found["reason"][i].as_py(), found["detail"][i].as_py()) for i in rows}


def _with_frames(table: pa.Table, found: pa.Table) -> pa.Table:
    frames = found["frames"].to_pylist()
    if not any(frames):
        return table
    both = [new or old for new, old in zip(frames, table["frames"].to_pylist(), strict=True)]
    at = SCHEMA.get_field_index("frames")
    return table.set_column(at, SCHEMA.field(at), pa.array(both, SCHEMA.field(at).type))


def _with_sizes(table: pa.Table, found: pa.Table) -> pa.Table:
    at = SCHEMA.get_field_index("size")
    return table.set_column(at, SCHEMA.field(at), pc.coalesce(found["size"], table["size"]))


def _with_rationales(table: pa.Table, written: pa.Table) -> pa.Table:
    for name in ("rationale", "rationale_by"):
        at = SCHEMA.get_field_index(name)
        both = pc.coalesce(written[name], table[name])
        table = table.set_column(at, SCHEMA.field(at), both)
    return table


def _fingerprint(settings: dict[str, Any]) -> str:
    """The settings that decide what comes out, as text."""
    kept = {k: v for k, v in settings.items() if k not in _SAME}
    kept["teacher"] = {k: v for k, v in kept.get("teacher", {}).items() if k not in _BUDGET}
    return json.dumps(_ordered(kept | {"facevlm": facevlm.__version__}), indent=2, default=str) + "\n"


def _ordered(value: Any) -> Any:
    """Mappings sorted by their keys as text: a config may mix numbers and words, which json does not sort."""
    if isinstance(value, Mapping):
        return {str(k): _ordered(value[k]) for k in sorted(value, key=str)}
    return [_ordered(v) for v in value] if isinstance(value, (list, tuple)) else value


def _refuse_full(out: Path, overwrite: bool) -> None:
    if not (overwrite and (out / "dataset.json").is_file()) and out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; name another `out` or remove it first")
