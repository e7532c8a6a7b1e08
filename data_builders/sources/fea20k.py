"""FEA-20K (Facial-R1): 17,737 + 1,688 descriptions of expressions with AUs and emotions, for pictures of seven sets.

Paper: "Facial-R1: Aligning Reasoning and Recognition for Facial Emotion Analysis", 2025. Licence: the annotations'
authors grant research use; each picture stays under its own set's terms. Get it: annotations from the authors'
repository, pictures from the owners of DISFA, BP4D, RAF-AU, FER2013, AffectNet, RAF-DB and FABA-Instruct.

Tree, files below any folder
    <name>.jsonl                 one object a line; "test" in the name = the test split, stage1/2/3 = stages
    <dataset>/…                  your copies of the pictures, or where `images` says

Keys: id, dataset, image, question, AUs ["AU1", …], labels ["Sadness"], description, meta_info. AUs that are not
listed are not labelled. Only DISFA, BP4D and RAF-AU have human coders; elsewhere `aus_by` is "fea-20k". One label of
the basic eight is the emotion; several labels, or another word, become `emotion_words`. The description leads from
AUs to the emotion: it is the rationale, by "fea-20k".

Known faults: a picture may occur in several stages (choose one with `stage`); FER2013's file names are not Kaggle's;
the form of `image` is not documented: a leading folder that is the set's own name is taken off. People of DISFA and
BP4D are read from the paths; where they are on both sides of the official split, the build says so.

One row:  {"id": 7, "dataset": "DISFA", "image": "SN001/12.jpg", "AUs": ["AU1", "AU4"], "labels": ["Sadness"], …}
    -> FaceRecord(id="train_stage1/7", media="DISFA/SN001/12.jpg", split="train", subject="DISFA-SN001",
                  emotion="sadness", aus={1: 1, 4: 1}, rationale="The inner brows are raised …")
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.conversations import Object, objects, picture
from data_builders.reading.files import subfolders, walk
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import BASIC_EMOTIONS, canonical_emotion, parse_au

_KEYS = ("dataset", "image", "AUs", "labels")
_HUMAN = ("disfa", "bp4d", "rafau")
_PERSON = {"disfa": re.compile(r"SN\d{3}"), "bp4d": re.compile(r"(?<![A-Za-z0-9])[FM]\d{3}")}


def read(root: Path, *, images: dict[str, str] | None = None, stage: Literal["all", "1", "2", "3"] = "all",
         text: Literal["rationale", "caption"] = "rationale") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of FEA-20K.

    Args:
        images: set -> folder of its pictures, relative to the root; a set that is not named here lies in the folder
            of its own name, if there is one (links are followed).
        stage: read only the files of one training stage, and those of none.
        text: what the description becomes.

    Raises:
        ConfigError: no JSONL file with FEA-20K's keys.
    """
    files = [path for path in walk(root, "", (".jsonl",)) if _is_ours(root / path)]
    if not files:
        raise ConfigError(f"{root} holds no .jsonl file whose objects have {', '.join(_KEYS)}; set `root` to the "
                          "folder with FEA-20K's annotations")  # fmt: skip
    folders = {_plain(name): name for name in subfolders(root)} | {_plain(k): v for k, v in (images or {}).items()}
    chosen = [path for path in files if stage == "all" or f"stage{stage}" in path or not re.search(r"stage\d", path)]
    yield Note(f"annotations from {', '.join(chosen) or 'no file'}; how they name pictures is recalled, not checked")
    for path in chosen:
        stem = path.rpartition(".")[0]
        split: Split = "test" if re.search(r"test|eval", stem.rpartition("/")[2], re.IGNORECASE) else "train"
        for number, item in enumerate(objects(root / path), 1):
            if isinstance(item, Drop):
                yield item
                continue
            name = f"{stem}/{item.get('id', number)}"
            try:
                yield _record(item, name, split, folders, text)
            except BadRow as e:
                yield Drop(name, e.reason, e.detail)


def _is_ours(path: Path) -> bool:
    try:
        first = next(objects(path), None)
    except ConfigError:  # not text: some other set's file
        return False
    return isinstance(first, dict) and all(key in first for key in _KEYS)


def _record(item: Object, name: str, split: Split, folders: Mapping[str, str], text: str) -> FaceRecord:
    dataset, image = str(item.get("dataset") or ""), picture(item)
    own = _plain(dataset)
    if own not in folders:
        raise BadRow("pictures not given", f"{dataset!r} has no folder; name it in `images`")
    head, _, tail = image.partition("/")
    media = f"{folders[own].strip('/')}/{tail if tail and _plain(head) == own else image}"
    words = [str(word).strip() for word in _list(item, "labels") if str(word).strip()]
    known = [label for word in words if (label := canonical_emotion(word)) in BASIC_EMOTIONS]
    emotion = known[0] if len(words) == 1 and known else None
    aus = {_au(au): 1.0 for au in _list(item, "AUs")}
    said = str(item.get("description") or "").strip() or None
    if not aus and not words and said is None:
        raise BadRow("unlabelled", "no AUs, labels or description")
    person = _PERSON[own].search(image) if own in _PERSON else None
    return FaceRecord(
        id=name, source="fea20k", media=media, split=split, subject=f"{dataset}-{person[0]}" if person else None,
        emotion=emotion, label_set="basic8" if emotion is not None else None,
        emotion_words=tuple(word.lower() for word in words) if emotion is None else (), aus=dict(sorted(aus.items())),
        aus_by="fea-20k" if aus and own not in _HUMAN else None, caption=said if text == "caption" else None,
        rationale=said if text == "rationale" else None,
        rationale_by="fea-20k" if said is not None and text == "rationale" else None, licence=SOURCE.licence,
    )  # fmt: skip


def _list(item: Object, key: str) -> list[object]:
    value = item.get(key) or []
    if not isinstance(value, list):
        raise BadRow("bad row", f"{key} is {value!r}, not a list")
    return value


def _au(text: object) -> int:
    try:
        return parse_au(str(text))
    except ValueError as e:
        raise BadRow("bad AU code", str(e)) from e


def _plain(dataset: str) -> str:
    """A set's name for comparison: "RAF-AU" is "raf_au"; FABA is short for FABA-Instruct."""
    name = re.sub(r"[^a-z0-9]", "", dataset.lower())
    return "faba" if name.startswith("faba") else name


SOURCE = Source(
    name="fea20k",
    title="FEA-20K (Facial-R1)",
    read=read,
    tasks=("emotion", "au", "caption"),
    licence="FEA-20K annotations: research; pictures under the terms of their own sets",
    needs="FEA-20K's .jsonl files, and the pictures of DISFA, BP4D, RAF-AU, FER2013, AffectNet, RAF-DB, FABA-Instruct",
    layout="recalled",
    published={"train": 17_737, "test": 1_688},
)
