"""EMOTIC: 34,000 people in 23,500 pictures of everyday scenes, in 26 emotion categories and three dimensions.

Paper: Kosti, Alvarez, Recasens & Lapedriza, "Context Based Emotion Recognition Using EMOTIC Dataset", IEEE TPAMI 2020.
Licence: by request, non-commercial. Get it: from the authors.

Tree:   Annotations/Annotations.mat     {mscoco,ade20k,framesdb,emodb_small}/images/*.jpg (in copies below emotic/)

Annotations.mat: arrays train, val, test of pictures {filename, folder, person[]}; a person has body_bbox x1 y1 x2 y2,
annotations_categories.categories, annotations_continuous {valence, arousal, dominance} 1-10, gender (Male, Female) and
age (Kid, Teenager, Adult). In val and test several raters: combined_categories and combined_continuous are used there.
The 26 categories become `emotion_words` in lower case; 1-10 becomes -1 to 1.

Known faults: means may be NaN (not labelled). body_bbox is the body, not the face: `box` stays empty, and the body box
is in `attributes` as body_box. Only where a person has a head_bbox or estimated_face_bbox, which some releases carry,
it becomes `box`. So in a picture with several people nothing but body_box says who is meant; `several: drop` leaves
such people out.

One person:  emodb_small/images 007eear5kx5qhbzewz.jpg, 215 111 580 352, Affection Pleasure Happiness, 8 4 10, Female
    -> FaceRecord(id="emodb_small/images/007eear5kx5qhbzewz.jpg-0", media=<the path in the id>, split="train",
                  emotion_words=("affection", "pleasure", "happiness"), valence=0.5556, arousal=-0.3333,
                  attributes={"dominance": "1", "gender": "female", "body_box": "215 111 580 352"})
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

CATEGORIES = frozenset({
    "affection", "anger", "annoyance", "anticipation", "aversion", "confidence", "disapproval", "disconnection",
    "disquietment", "doubt/confusion", "embarrassment", "engagement", "esteem", "excitement", "fatigue", "fear",
    "happiness", "pain", "peace", "pleasure", "sadness", "sensitivity", "suffering", "surprise", "sympathy",
    "yearning",
})  # fmt: skip
_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_AXES = ("valence", "arousal", "dominance")
_AGES = ("kid", "teenager", "adult")


def read(root: Path, *, several: Literal["keep", "drop"] = "keep") -> Iterator[FaceRecord | Drop | Note]:
    """The records of EMOTIC, one for each person.

    Args:
        several: what to do with a person without a face box in a picture with several people.

    Raises:
        ConfigError: no Annotations.mat, or without train, val and test; scipy is missing.
    """
    path = find(root, "Annotations/Annotations.mat", "Annotations.mat", "*/Annotations.mat", "*/*/Annotations.mat",
                what="EMOTIC's Annotations.mat")  # fmt: skip
    pictures = find(root, "mscoco", "emotic/mscoco", "*/mscoco", "*/*/mscoco", "framesdb", "*/framesdb",
                    what="EMOTIC's folders of pictures (mscoco, ade20k, framesdb, emodb_small)").parent  # fmt: skip
    base = relative(pictures, root)
    base = "" if base == "." else f"{base}/"
    parts = _loaded(path)
    unclear = 0
    for split in _SPLITS:
        for entry in _several(parts[split]):
            people = _several(entry.get("person"))
            place = f"{entry.get('folder', '')}/{entry.get('filename', '')}"
            for number, person in enumerate(people):
                name = f"{place}-{number}"
                try:
                    record = _record(name, base + place, person, split)
                    if record.box is None and len(people) > 1:
                        unclear += 1
                        if several == "drop":
                            raise BadRow("several people", f"one of {len(people)} people, no face box")
                    yield record
                except BadRow as e:
                    yield Drop(name, e.reason, e.detail, split)
    if unclear:
        yield Note(f"{unclear} people without a face box are in pictures with several people")


def _loaded(path: Path) -> Mapping[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as e:
        raise ConfigError(f"{path.name} needs scipy: pip install facevlm[data]") from e
    try:
        parts: Mapping[str, Any] = loadmat(path, simplify_cells=True)
    except Exception as e:
        # scipy raises errors of many kinds on a damaged file.
        raise ConfigError(f"cannot read {path} as a MATLAB file: {e}") from e
    if missing := [split for split in _SPLITS if split not in parts]:
        raise ConfigError(f"{path} has no {', '.join(missing)}; it has "
                          f"{', '.join(name for name in parts if not name.startswith('__'))}")  # fmt: skip
    return parts


def _record(name: str, media: str, person: Any, split: Split) -> FaceRecord:
    if not isinstance(person, dict):
        raise BadRow("bad row", f"a person is {type(person).__name__}, not a struct")
    words = tuple(dict.fromkeys(word.strip().lower() for word in _categories(person)))
    if unknown := [word for word in words if word not in CATEGORIES]:
        raise BadRow("unknown label", f"{unknown} are none of the 26 categories")
    axes = {axis: _scaled(axis, value) for axis, value in _continuous(person).items()}
    if not words and not any(value is not None for value in axes.values()):
        raise BadRow("unlabelled", "neither categories nor dimensions")
    return FaceRecord(
        id=name, source=SOURCE.name, media=media, split=split, box=_face(person), emotion_words=words,
        valence=axes["valence"], arousal=axes["arousal"], attributes=_attributes(person, axes["dominance"]),
        licence=SOURCE.licence,
    )  # fmt: skip


def _categories(person: Mapping[str, Any]) -> list[str]:
    if "combined_categories" in person:
        return [str(word) for word in _several(person["combined_categories"])]
    given = _several(person.get("annotations_categories"))
    return [str(w) for one in given for w in _several(one["categories"] if isinstance(one, dict) else one)]


def _continuous(person: Mapping[str, Any]) -> dict[str, Any]:
    given = person.get("combined_continuous", person.get("annotations_continuous"))
    found = given if isinstance(given, dict) else {}
    return {axis: found.get(axis) for axis in _AXES}


def _scaled(axis: str, value: Any) -> float | None:
    """1-10 as -1 to 1; an empty cell of MATLAB is an empty array."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if math.isnan(number):
        return None
    if not 1 <= number <= 10:
        raise BadRow("bad rating", f"{axis} {number:g} is not within 1-10")
    return round((number - 5.5) / 4.5, 4)


def _attributes(person: Mapping[str, Any], dominance: float | None) -> dict[str, str]:
    found = {} if dominance is None else {"dominance": f"{dominance:g}"}
    gender, age = (str(person.get(name, "")).strip().lower() for name in ("gender", "age"))
    if gender in ("female", "male"):
        found["gender"] = gender
    if age in _AGES:
        found["age_group"] = age
    if body := _numbers(person.get("body_bbox")):
        found["body_box"] = " ".join(f"{v:g}" for v in body)
    return found


def _face(person: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    for name in ("head_bbox", "estimated_face_bbox"):
        box = _numbers(person.get(name))
        if box and box[0] < box[2] and box[1] < box[3]:
            return box[0], box[1], box[2], box[3]
    return None


def _numbers(value: Any) -> list[float]:
    """Four finite numbers, or nothing."""
    try:
        found = [float(v) for v in _several(value)]
    except (TypeError, ValueError):
        return []
    return found if len(found) == 4 and all(map(math.isfinite, found)) else []


def _several(value: Any) -> list[Any]:
    """What MATLAB has as an array, a single thing, or nothing."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) or hasattr(value, "__array__") and value.ndim else [value]


SOURCE = Source(
    name="emotic",
    title="EMOTIC",
    read=read,
    tasks=("words", "va", "attributes", "gender"),
    licence="EMOTIC terms: non-commercial research",
    needs="Annotations/Annotations.mat and mscoco, ade20k, framesdb, emodb_small",
)
