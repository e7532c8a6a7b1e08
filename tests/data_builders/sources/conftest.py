"""A data set's folder in its owner's layout, written by hand with pictures of a few pixels."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from data_builders.source import Note
from facevlm.record import Drop, FaceRecord, faults

Files = Mapping[str, str | bytes | None]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Files], Path]:
    """Writes files below a folder: text (UTF-8), bytes, or None for a small picture; "name/" is a folder."""

    def write(files: Files) -> Path:
        root = tmp_path / "set"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                Image.new("RGB", (20, 20), (180, 140, 120)).save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content, encoding="utf-8", newline="")
        return root

    return write


class Found:
    """What a reader gave: records by id, drops as (id, reason), notes."""

    def __init__(self, items: list[FaceRecord | Drop | Note]) -> None:
        self.all = [i for i in items if isinstance(i, FaceRecord)]
        self.records = {r.id: r for r in self.all}
        self.drops = [(i.id, i.reason) for i in items if isinstance(i, Drop)]
        self.notes = [i.text for i in items if isinstance(i, Note)]
        assert len(self.records) == len(self.all), "two records share an id"
        assert not (bad := {r.id: f for r in self.all if (f := faults(r))}), bad


@pytest.fixture
def take() -> Callable[..., Found]:
    """Runs a source's reader over a folder, and holds it to what every reader owes: whole records, ids that differ,
    the licence it states, and the same answer twice."""

    def run(source, root: Path, **options) -> Found:
        items = list(source.read(root, **options))
        assert items == list(source.read(root, **options)), "a second reading differs"
        found = Found(items)
        assert {r.licence for r in found.all} <= {source.licence}
        assert {r.source for r in found.all} <= {source.name}
        return found

    return run
