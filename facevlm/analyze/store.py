"""The parts of an output: Parquet files that are whole or absent, and what makes them one run's.

    faces/_manifest.json          what the answers depend on; another setting is refused
    faces/part-00000.parquet      the rows of pictures 0 to 1023; its footer counts them and knows their names
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facevlm.analyze.rows import Row, plain
from facevlm.config import ConfigError
from facevlm.record import whole_file

_MANIFEST = "_manifest.json"
"""The line below keeps readers of the whole folder, such as pandas and Spark, from taking it for data."""
_FACTS = b"facevlm"
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What a part, or a whole run, holds."""

    pictures: int = 0
    digest: str = ""
    """BLAKE2 of the names of a part's pictures in their order."""
    faces: int = 0
    """Rows whose face was shown to the model."""
    odd: int = 0
    """Of them: answers that miss the form."""
    failed: int = 0
    """Rows with an error."""
    examples: list[str] = field(default_factory=list)
    """The first few errors."""

    def __add__(self, other: "Facts") -> "Facts":
        return Facts(self.pictures + other.pictures, "", self.faces + other.faces, self.odd + other.odd,
                     self.failed + other.failed, (self.examples + other.examples)[:_EXAMPLES])  # fmt: skip


def count(rows: Sequence[Row], pictures: int, digest: str = "") -> Facts:
    """The facts of some rows."""
    failed = [f"{row['path']}: {row['error']}" for row in rows if row["error"] is not None]
    odd = sum(bool(row["faults"]) for row in rows)
    return Facts(pictures, digest, len(rows) - len(failed), odd, len(failed), failed[:_EXAMPLES])


class Store:
    """The parts in a folder; several processes may write different parts of one."""

    def __init__(self, folder: Path, schema: pa.Schema, size: int, share: tuple[int, int] = (0, 1)) -> None:
        """
        Args:
            schema: of the rows.
            size: pictures in a part; the last one may have fewer.
            share: (i, n): the parts that are ours leave i when divided by n.
        """
        self.folder, self.schema, self.size, self.share = folder, schema, size, share
        self.expected = 0
        """Parts that the inputs make; known once they were listed to their end."""

    def open(self, fingerprint: dict[str, Any]) -> None:
        """Begin, or go on with what was begun with the same settings.

        Raises:
            ConfigError: it was begun with others, or the folder holds something else.
        """
        manifest = self.folder / _MANIFEST
        if manifest.is_file():
            before = json.loads(manifest.read_text())
            now = json.loads(json.dumps(fingerprint))
            if differing := [name for name in before.keys() | now if before.get(name) != now.get(name)]:
                told = "; ".join(f"{n}: {before.get(n)!r} then, {now.get(n)!r} now" for n in sorted(differing))
                raise ConfigError(f"{self.folder} was begun with other settings ({told}). Give the same ones to go "
                                  "on, another `out`, or remove it to begin anew")  # fmt: skip
            return
        if self.folder.is_file() or any(not path.name.startswith(".") for path in self.folder.glob("*")):
            raise ConfigError(f"{self.folder} is there and is no output of facevlm.analyze; name another `out`")
        with whole_file(manifest) as draft:
            draft.write_text(json.dumps(fingerprint, indent=2) + "\n")

    def path(self, part: int) -> Path:
        return self.folder / f"part-{part:05d}.parquet"

    def mine(self, part: int) -> bool:
        """Whether a part is of this share."""
        return part % self.share[1] == self.share[0]

    def has(self, part: int) -> bool:
        return self.path(part).is_file()

    def parts(self) -> list[int]:
        """The numbers of the finished parts, ascending."""
        return sorted(int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.parquet"))

    def facts(self, part: int) -> Facts:
        """What a finished part holds, by its footer.

        Raises:
            ConfigError: it is none of ours.
        """
        try:
            return Facts(**json.loads(pq.read_metadata(self.path(part)).metadata[_FACTS]))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as e:
            raise ConfigError(f"{self.path(part)} cannot be read as a part: {e}; remove it and start again") from e

    def ended(self, parts: int) -> None:
        """Note how many parts the inputs make.

        Raises:
            ConfigError: there are parts beyond them.
        """
        self.expected = parts
        if (found := self.parts()) and found[-1] >= parts:
            raise ConfigError(f"the inputs, or `limit`, have changed: they make {parts} parts, and {self.folder} has "
                              f"{self.path(found[-1]).name}. Give another `out`, or remove this one")  # fmt: skip

    def write(self, part: int, rows: Sequence[Row], pictures: int, digest: str) -> Facts:
        """Write a part, whole or not at all."""
        facts = count(rows, pictures, digest)
        table = pa.Table.from_pylist([plain(row, self.schema.names) for row in rows], schema=self.schema)
        table = table.replace_schema_metadata({_FACTS: json.dumps(asdict(facts))})
        with whole_file(self.path(part)) as draft:
            pq.write_table(table, draft, compression="zstd")
        return facts

    def tables(self) -> Iterator[pa.Table]:
        """The finished parts in order."""
        for part in self.parts():
            yield pq.read_table(self.path(part)).replace_schema_metadata(None)

    def rows(self) -> Iterator[Row]:
        """The rows of the finished parts in order."""
        for table in self.tables():
            yield from table.to_pylist()

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder)
