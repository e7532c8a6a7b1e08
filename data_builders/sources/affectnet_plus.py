"""AffectNet+: 420,299 pictures of AffectNet with soft labels, a grade of difficulty, age, gender and race.

Paper: Fard, Hosseini, Sweeny & Mahoor, "AffectNet+: A Database for Enhancing Facial Expression Recognition with
Soft-Labels", IEEE TAC 2025. Licence: as AffectNet, signed research agreement; pictures must not be passed on. Get it:
by request to the authors, as five zip parts.

Tree: one JSON for each picture (224 px), of the same stem, in either place
    annotations/train/12.json   images/train/12.jpg   or   train/12.json   train/12.jpg
    annotations/validation/…    images/validation/…        validation/…

Labels: Human-Label 0-10 as in AffectNet (see affectnet.py); Soft-Label, eight shares in the same order; Subset 0 easy,
1 challenging, 2 difficult; Metadata: age, gender, race, pose, landmarks, valence, arousal (-2 = not labelled).
Validation is the test set. Known faults: how the keys are spelled was not seen: case, dashes and blanks do not matter.
A value of Subset or Metadata that is not understood is left out and counted in a note.

One file:  train/12.json  {"Human-Label": 1, "Soft-Label": [0.1, 0.9, 0, …], "Subset": 0, "Metadata":
                           {"Age": 31, "Gender": "Female", "Race": "white", "Valence": 0.6, "Arousal": 0.1}}
    -> FaceRecord(id="train/12", media="train/12.jpg", split="train", emotion="happiness", valence=0.6, arousal=0.1,
                  emotion_probs={"neutral": 0.1, "happiness": 0.9, …},
                  attributes={"difficulty": "easy", "age": "31", "gender": "female", "race": "white"})
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_builders.reading import cells
from data_builders.reading.affect import LICENCE, Classes, labelled, points
from data_builders.reading.cells import BadRow
from data_builders.reading.files import walk
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.images import SUFFIXES
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import ATTRIBUTES, LABEL_SETS

_SPLITS: dict[str, Split] = {"train": "train", "training": "train", "train_set": "train", "val": "test",
                             "valid": "test", "validation": "test", "val_set": "test"}  # fmt: skip
_GENDERS = {"female": "female", "woman": "female", "f": "female", "male": "male", "man": "male", "m": "male"}
_SUBSETS = {"0": "easy", "1": "challenging", "2": "difficult"}


def read(root: Path, *, classes: Classes = 8) -> Iterator[FaceRecord | Drop | Note]:
    """The records of AffectNet+.

    Args:
        classes: 7 leaves contempt unlabelled and scales the other shares to 1.

    Raises:
        ConfigError: no JSON file is there.
    """
    labels: list[str] = []
    pictures: dict[tuple[Split, str], str] = {}
    for path in walk(root, "", SUFFIXES | {".json"}):
        if path.lower().endswith(".json"):
            labels.append(path)
        else:
            key = _place(path)
            pictures[key] = "" if key in pictures else path  # two pictures for one JSON: neither is guessed
    if not labels:
        raise ConfigError(f"AffectNet+ has one JSON file for each picture, and there is none below {root}. Set `root` "
                          "to the folder that holds its train and validation")  # fmt: skip
    odd: Counter[str] = Counter()
    for path in labels:
        try:
            split, media = _picture(path, pictures)
            yield _record(_json(f"{root}/{path}"), split, media, classes, odd)
        except BadRow as e:
            yield Drop(path, e.reason, e.detail)
    for media in filter(None, pictures.values()):
        yield Drop(media, "unlabelled", "the picture has no JSON file")
    if odd:
        counts = ", ".join(f"{name} ({n})" for name, n in sorted(odd.items()))
        yield Note(f"values not understood, and left out: {counts}")


def _place(path: str) -> tuple[Split, str]:
    """The split that the folders of a path name, "" if none does, and the stem."""
    *folders, name = path.split("/")
    named = [_SPLITS[f.lower()] for f in folders if f.lower() in _SPLITS]
    return named[-1] if named else "", os.path.splitext(name)[0]


def _picture(path: str, pictures: dict[tuple[Split, str], str]) -> tuple[Split, str]:
    """The split and the picture of a JSON file, taken out of the pictures; one of the two files may lie in a folder
    without train or validation.

    Raises:
        BadRow: no picture, or several.
    """
    split, stem = _place(path)
    keys: list[tuple[Split, str]] = [(split, stem), ("", stem)] if split else [("train", stem), ("test", stem)]
    found = [key for key in keys if key in pictures]
    if not found:
        raise BadRow("file missing", f"no picture {stem} in the folders of the same split that no other JSON file has")
    if len(found) > 1 or not pictures[found[0]]:
        raise BadRow("ambiguous picture", f"several pictures are named {stem}")
    return split or found[0][0], pictures.pop(found[0])


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            found = _plain(json.load(file))
    except (OSError, ValueError) as e:
        raise BadRow("bad row", f"not JSON: {e}") from e
    if "humanlabel" not in found:
        raise BadRow("unlabelled", f"no Human-Label; there are {', '.join(found) or 'no keys'}")
    return found


def _plain(value: Any) -> dict[str, Any]:
    """An object with its keys in plain letters; nothing for what is no object."""
    return {"".join(filter(str.isalnum, k.lower())): v for k, v in value.items()} if isinstance(value, dict) else {}


def _record(found: dict[str, Any], split: Split, media: str, classes: Classes, odd: Counter[str]) -> FaceRecord:
    about = _plain(found.get("metadata"))
    emotion, valence, arousal = labelled(_text(found["humanlabel"]), _text(about.get("valence")),
                                         _text(about.get("arousal")), classes)  # fmt: skip
    return FaceRecord(
        id=os.path.splitext(media)[0], source="affectnet-plus", media=media, split=split, emotion=emotion,
        label_set=f"affectnet{classes}", emotion_probs=_shares(found.get("softlabel"), classes), valence=valence,
        arousal=arousal, landmarks=_landmarks(about.get("landmarks"), odd),
        attributes=_attributes(_text(found.get("subset")), about, odd), licence=LICENCE,
    )  # fmt: skip


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _shares(soft: Any, classes: Classes) -> dict[str, float] | None:
    if soft is None:
        return None
    if not isinstance(soft, list) or len(soft) != 8:
        raise BadRow("bad soft label", f"{soft!r} is not a list of eight numbers")
    values = [cells.number(_text(value), (), "bad soft label") or 0.0 for value in soft]
    if min(values) < 0:
        raise BadRow("bad soft label", f"{soft} has a share below 0")
    shares = dict(zip(LABEL_SETS[f"affectnet{classes}"].labels, values, strict=False))
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items()} if total else None


def _landmarks(value: Any, odd: Counter[str]) -> tuple[tuple[float, float], ...] | None:
    if not value:
        return None
    try:
        pairs = [n for point in value for n in (point if isinstance(point, list) else [point])]
        return points(pairs)
    except (TypeError, BadRow):
        odd["landmarks"] += 1
        return None


def _attributes(subset: str, about: dict[str, Any], odd: Counter[str]) -> dict[str, str]:
    gender, age, race = (_text(about.get(name)) for name in ("gender", "age", "race"))
    found = {
        "difficulty": _SUBSETS.get(subset), "gender": _GENDERS.get(gender.lower()),
        "age": age if ATTRIBUTES["age"].fault(age) is None else None,
        "race": race if isinstance(about.get("race"), str) else None,
    }  # fmt: skip
    for name, text in (("difficulty", subset), ("gender", gender), ("age", age), ("race", race)):
        if text and found[name] is None:
            odd[name] += 1
    return {name: value for name, value in found.items() if value}


SOURCE = Source(
    name="affectnet-plus",
    title="AffectNet+",
    read=read,
    tasks=("emotion", "votes", "va", "age", "gender", "race"),
    licence=LICENCE,
    needs="train and validation with pictures and JSON files, or annotations and images with both",
    layout="recalled",
    published={"": 420_299},
)
