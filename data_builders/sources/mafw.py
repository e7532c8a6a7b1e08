"""MAFW: 10,045 clips from films, television and short videos; 9,172 with one of eleven emotions, 4,058 with several.

Paper: Liu et al., "MAFW: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression
Recognition in the Wild", ACM MM 2022. Licence: academic use by agreement; clips must not be passed on. Get it: by a
signed agreement with the authors.

Tree, as the authors ship it
    data/clips/00025.mp4                                             or data/frames/00025/*
    Train & Test Set/single/no_caption/set_{1..5}/{train,test}.txt   or split/single/no_caption/…
    Labels/multi-set.xlsx                  several emotions for a clip (not needed)
    Labels/descriptive_text.xlsx           a description in Chinese and in English (not needed; no header)

Labels: lines "00025.mp4 anger"; ids in the sheets: 1 anger, 2 disgust, 3 fear, 4 happiness, 5 neutral, 6 sadness,
7 surprise, 8 contempt, 9 anxiety, 10 helplessness, 11 disappointment; several as "6,10". Known faults: neutral clips
have no description; the lists beside these "with_caption" are not UTF-8 (descriptive_text.xlsx holds the same); no
person ids. Protocol: WAR and UAR over the five folds; one fold is read at a time.

One row:  00025.mp4 sadness   with 6,10 in multi-set.xlsx
    -> FaceRecord(id="00025", media="data/clips/00025.mp4", split="train", emotion="sadness", label_set="mafw",
                  emotion_words=("sadness", "helplessness"), caption="A woman …")
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import folder_path
from data_builders.reading.files import find, find_any
from data_builders.reading.rows import grid, words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS

Fold = Literal[1, 2, 3, 4, 5]
Clips = Literal["clips", "frames"]
_CHINESE = re.compile("[\u4e00-\u9fff]")
_SPLITS: tuple[Split, ...] = ("train", "test")


def read(root: Path, *, fold: Fold = 1, clips: Clips = "clips") -> Iterator[FaceRecord | Drop | Note]:
    """The records of one of MAFW's five folds of clips with a single emotion.

    Args:
        clips: the videos, or the folders of frames.

    Raises:
        ConfigError: the fold's lists or the clips are not there.
    """
    base = folder_path(find(root, f"data/{clips}", clips, what=f"MAFW's folder data/{clips}"), root)
    lists = {split: _list(root, split, fold) for split in _SPLITS}
    ending = ".mp4" if clips == "clips" else ""
    several: dict[str, tuple[str, ...]] = {}
    captions: dict[str, str] = {}
    if (sheet := _sheet(root, "multi-set.xlsx")) is None:
        yield Note("no clips with several emotions: Labels/multi-set.xlsx is not there")
    else:
        several, strange = _several(sheet)
        if strange:
            yield Note(f"{strange} rows of {sheet.name} hold no list of ids such as 6,10 and were passed over")
    if (sheet := _sheet(root, "descriptive_text.xlsx")) is None:
        yield Note("no captions: Labels/descriptive_text.xlsx is not there")
    else:
        captions = _captions(sheet)
    for split, path in lists.items():
        for number, row in words(path):
            try:
                clip, emotion = _labelled(row)
            except BadRow as e:
                yield Drop(f"{split} {row[0]}" if len(row) > 1 else f"{split} line {number}", e.reason, e.detail)
                continue
            yield FaceRecord(
                id=clip, source="mafw", media=f"{base}{clip}{ending}", split=split, emotion=emotion, label_set="mafw",
                emotion_words=several.get(clip, ()), caption=captions.get(clip), licence=SOURCE.licence,
            )  # fmt: skip


def _list(root: Path, split: Split, fold: Fold) -> Path:
    place = f"single/no_caption/set_{fold}/{split}.txt"
    return find(root, f"split/{place}", f"Train & Test Set/{place}", place, f"*/{place}", f"*/*/{place}",
                what=f"MAFW's list {place}")  # fmt: skip


def _labelled(row: list[str]) -> tuple[str, str]:
    clip = row[0].removesuffix(".mp4")
    if len(row) != 2 or not clip.isdecimal():
        raise BadRow("bad row", f"{' '.join(row)!r} is not a clip's number and an emotion")
    emotion = cells.emotion(row[1], "mafw", {})
    if emotion is None:
        raise BadRow("unlabelled", f"{row[1]!r} names no emotion")
    return clip, emotion


def _sheet(root: Path, name: str) -> Path | None:
    return find_any(root, f"Labels/{name}", f"labels/{name}", name, f"*/Labels/{name}")


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Rows that begin with a clip: some copies have a header, some have none."""
    for row in grid(path):
        if row and (match := re.fullmatch(r"([0-9]+)(\.mp4)?", row[0])):
            yield match[1].zfill(5), row[1:]


def _several(path: Path) -> tuple[dict[str, tuple[str, ...]], int]:
    """The emotions by clip, and how many rows do not give any: a spreadsheet can turn 1,2 into the number 1.2."""
    found, strange, ids = {}, 0, LABEL_SETS["mafw"].ids
    for clip, row in _rows(path):
        listed = re.findall("[0-9]+", row[-1]) if row and re.fullmatch(r"[0-9]+([,，] ?[0-9]+)*", row[-1]) else []
        if listed and all(int(i) in ids for i in listed):
            found[clip] = tuple(ids[int(i)] for i in listed)
        else:
            strange += 1
    return found, strange


def _captions(path: Path) -> dict[str, str]:
    """The English descriptions: the columns are known by their script, not by their order."""
    found = {clip: [cell for cell in row if cell and not _CHINESE.search(cell)] for clip, row in _rows(path)}
    return {clip: texts[0] for clip, texts in found.items() if texts}


SOURCE = Source(
    name="mafw",
    title="MAFW (single emotion)",
    read=read,
    tasks=("emotion", "words", "caption"),
    licence="MAFW terms: academic use by agreement, no passing on",
    needs="data/clips or data/frames, and the lists of single/no_caption",
    published={"": 9_172},
)
