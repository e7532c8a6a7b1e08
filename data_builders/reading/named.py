"""Pictures that carry their labels in their names, as age sets have them: "25_0_2_20170104023102422.jpg.chip.jpg"."""

from collections.abc import Callable, Iterator
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.files import walk
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord


def pictures(root: Path, below: str, record: Callable[[str, str], FaceRecord], form: str
             ) -> Iterator[FaceRecord | Drop]:  # fmt: skip
    """The pictures below a folder, each read by its own name; a name that cannot be read is a Drop.

    Args:
        record: makes a record of a file's name without its ending, and of its path; raises BadRow.
        form: how a name looks, for the message.

    Raises:
        ConfigError: no picture is named so, which is known only at the end.
    """
    read, other = 0, ""
    for path in walk(root, below):
        try:
            yield record(path.rpartition("/")[2].rpartition(".")[0], path)
            read += 1
        except BadRow as e:
            other = path
            yield Drop(path, e.reason, e.detail)
    if not read:
        found = f"the pictures there are named like {other!r}" if other else "there are no pictures"
        raise ConfigError(f"no picture below {root / below} is named as the set names them, such as {form!r}; {found}."
                          " Set `root` to the folder that holds them")  # fmt: skip


def age(text: str) -> str:
    """An age in whole years as records write it: "35" from "35", "035" or "35.0".

    Raises:
        BadRow: not a whole number within 0-120.
    """
    whole = text.strip().removesuffix(".0")
    if not (whole.isascii() and whole.isdigit() and int(whole) <= 120):
        raise BadRow("bad age", f"{text!r} is not a whole number of years within 0-120")
    return str(int(whole))
