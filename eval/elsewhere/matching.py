"""Which prediction of a file belongs to which face: by id, by the picture's path, or by the number of the row.

What cannot be matched is refused or counted, never passed over: a number over the faces that happened to match says
nothing about the test.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from facevlm.config import ConfigError

Match = Literal["id", "path", "row"]
Missing = Literal["refuse", "wrong", "skip"]
Unknown = Literal["refuse", "skip"]


class Face(NamedTuple):
    """What a prediction can be about."""

    id: str
    media: str
    """The picture's path."""


class Matched(NamedTuple):
    """Predictions and the faces they are about."""

    rows: dict[int, int]
    """Number of a face -> number of its row in the file."""
    missing: list[str]
    """Ids of faces without a prediction."""
    counts: dict[str, int]
    """What happened to the rows of the file, as summary.json holds it."""
    notes: list[str]


def matched(names: Sequence[str], answers: Sequence[object], faces: Sequence[Face], others: Sequence[Face],
            by: Match, missing: Missing, unknown: Unknown) -> Matched:  # fmt: skip
    """Match the rows of a file with the faces that are scored.

    Args:
        names: what each row calls its face: an id, a path, or with `by="row"` a number from 0, or nothing.
        answers: what each row says; rows of one face that say the same are one.
        others: faces of the same records that are not scored, such as those of other splits.

    Raises:
        ConfigError: nothing matches, one face has two different answers or one name two faces, and by `missing` and
            `unknown`.
    """
    if by == "row":
        found, strange = _by_number(names, len(faces)), list[int]()
        how = "by row number as the file gives it, from 0" if _numbered(names) else "by the order of rows"
    else:
        how = "by id" if by == "id" else "by the picture's path"
        found, strange = _by_name(names, _index(faces, by), _index(others, by), by)
    if not any(number is not None for number in found):
        raise ConfigError(_nothing(names, faces, by))
    if strange and unknown == "refuse":
        raise ConfigError(f"{len(strange)} predictions are about faces that the records do not have, e.g. "
                          f"{_some(names[i] for i in strange)}; give the records they were made on, or leave these "
                          "out with unknown=skip")  # fmt: skip
    rows, twice = _once(found, answers, names)
    lacking = [face.id for i, face in enumerate(faces) if i not in rows]
    if lacking and missing == "refuse":
        raise ConfigError(f"{len(lacking)} of {len(faces)} faces have no prediction, e.g. {_some(lacking)}; set "
                          "missing=wrong to count them as wrong, or missing=skip to leave them out, which makes it "
                          "another test")  # fmt: skip
    beside = sum(number is None for number in found) - len(strange)
    counts = {"rows": len(names), "matched": len(rows), "missing": len(lacking), "unknown": len(strange),
              "repeated": twice, "not of the test": beside}  # fmt: skip
    return Matched(rows, lacking, counts, _notes(counts, len(faces), how, missing))


def _notes(counts: Mapping[str, int], faces: int, how: str, missing: Missing) -> list[str]:
    found = [f"{counts['matched']} of {faces} faces have a prediction, matched {how}"]
    if counts["missing"]:
        found.append({"wrong": f"{counts['missing']} faces without a prediction count as wrong",
                      "skip": f"{counts['missing']} faces without a prediction are left out: this is not the whole "
                              "test"}[missing])  # fmt: skip
    if counts["unknown"]:
        found.append(f"{counts['unknown']} predictions about faces that the records do not have are left out")
    if counts["repeated"]:
        found.append(f"{counts['repeated']} predictions stand twice with the same answer and count once")
    if counts["not of the test"]:
        found.append(f"{counts['not of the test']} predictions are left out: the protocol does not test their faces")
    return found


def _some(names: Iterable[str]) -> str:
    return ", ".join(list(dict.fromkeys(names))[:3])


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path.replace("\\", "/")).parts


def _index(faces: Sequence[Face], by: Match) -> dict[str, list[int]]:
    """The numbers of the faces by name: the id, or any end of the picture's path."""
    index: dict[str, list[int]] = {}
    for i, face in enumerate(faces):
        index.setdefault(face.id if by == "id" else "/".join(_parts(face.media)), []).append(i)
        if by == "path":
            parts = _parts(face.media)
            for start in range(1, len(parts)):
                index.setdefault("/".join(parts[start:]), []).append(i)
    return index


def _by_name(names: Sequence[str], index: Mapping[str, list[int]], others: Mapping[str, list[int]],
             by: Match) -> tuple[list[int | None], list[int]]:  # fmt: skip
    """For each row the number of its face; and which rows name none that there is."""
    found: list[int | None] = []
    strange: list[int] = []
    for row, name in enumerate(names):
        ends = [name] if by == "id" else ["/".join(_parts(name)[i:]) for i in range(len(_parts(name)))]
        end = next((end for end in ends if end in index or end in others), None)
        faces = [] if end is None else index.get(end, [])
        if len(faces) > 1:
            raise ConfigError(f"{name!r} names {len(faces)} faces; " + (
                "several sources use this id: match=path" if by == "id" else "write more of its path"))  # fmt: skip
        if end is None:
            strange.append(row)
        found.append(faces[0] if faces else None)
    return found, strange


def _by_number(names: Sequence[str], faces: int) -> list[int | None]:
    """The number of each row: as the file gives it where all rows are numbered, else its place."""
    if not _numbered(names):
        if len(names) != faces:
            raise ConfigError(f"match=row: the file has {len(names)} rows, the test {faces} faces; they can only be "
                              "matched by their order where both are as many")  # fmt: skip
        return list(range(faces))
    numbers = [int(name) for name in names]
    if outside := [number for number in numbers if number >= faces]:
        raise ConfigError(f"match=row: row number {outside[0]} is beyond the test's {faces} faces, counted from 0")
    return list(numbers)


def _numbered(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _once(found: Sequence[int | None], answers: Sequence[object],
          names: Sequence[str]) -> tuple[dict[int, int], int]:  # fmt: skip
    """The first row of each face, and how many rows repeat it."""
    rows: dict[int, int] = {}
    odd: Counter[str] = Counter()
    twice = 0
    for row, face in enumerate(found):
        if face is None:
            continue
        first = rows.setdefault(face, row)
        if first != row:
            twice += 1
            if answers[first] != answers[row]:
                odd[names[row]] += 1
    if odd:
        raise ConfigError(f"{len(odd)} faces have several predictions that differ, e.g. {_some(odd)}; leave one of "
                          "each in the file")  # fmt: skip
    return rows, twice


def _nothing(names: Sequence[str], faces: Sequence[Face], by: Match) -> str:
    """What to say where no row names a face."""
    said = f"none of {len(names)} predictions names a face of the test: the file has {_some(names)}; the records have "
    said += _some(face.id if by == "id" else face.media for face in faces)
    bare = {face.id.lstrip("0") for face in faces}
    if by == "id" and any(name.lstrip("0") in bare for name in names):
        return said + "; leading zeros are lost, as spreadsheets do: keep ids as text"
    other: Match = "path" if by == "id" else "id"
    index = _index(faces, other)
    hits = sum(any("/".join(_parts(name)[i:]) in index for i in range(len(_parts(name)))) for name in names)
    return said + (f"; match={other} would find {hits}" if hits else "; set columns.id to the column that names faces")
