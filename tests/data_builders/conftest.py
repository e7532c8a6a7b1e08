"""Pictures and label files for the tests of the data builders."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from data_builders.sources import table
from facevlm.record import Drop, FaceRecord

Draw = Callable[..., Path]
Item = FaceRecord | Drop


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Writes a small picture below tmp_path/set."""

    def write(name: str, mode: str = "RGB", size: tuple[int, int] = (32, 32)) -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size).save(path)
        return path

    return write


@pytest.fixture
def label_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a label file into tmp_path/set and returns that folder."""

    def write(text: str, name: str = "labels.csv") -> Path:
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_text(text, encoding="utf-8")
        return tmp_path / "set"

    return write


@pytest.fixture
def read_table(label_file: Callable[..., Path]) -> Callable[..., list[Item]]:
    """Reads the rows of a label file's text through the table source."""

    def read(text: str, columns: dict[str, object], name: str = "labels.csv", **options: object) -> list[Item]:
        items: Iterator[Item] = table.read(label_file(text, name), labels=name,
                                                        columns={"media": "file", **columns}, **options)  # fmt: skip
        return list(items)

    return read
