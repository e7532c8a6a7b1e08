"""DFEW: 16,372 clips from films, about 12,000 of them with one of seven emotions; ten annotators each.

Paper: Jiang et al., "DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild", ACM MM
2020. Licence: academic use by agreement; clips must not be passed on. Get it: by a signed agreement with the authors.

Tree, as the authors ship it
    EmoLabel_DataSplit/{train,test}(single-labeled)/set_{1..5}.csv
    Annotation/annotation.xlsx                       the ten votes (not needed)
    Clip/clip_224x224/00001/*.jpg                    aligned faces, every frame
    Clip/clip_224x224_16f/00001/*.jpg                the same, brought to 16 frames
    Clip/jpg_256/00001/*.jpg                         whole pictures
    Clip/original/…/1.mp4                            the clips as cut

Labels: video_name (a number; folders write it with five digits) and label: 1 happy, 2 sad, 3 neutral, 4 angry,
5 surprise, 6 disgust, 7 fear; 0 no single label. annotation.xlsx has order (the clip's number) and the columns 1happy
to 7fear. Known faults: the folds are not by person, and no person ids are given. Protocol: WAR and UAR over the five
folds; one fold is read at a time.

One row:  6,3   with ten votes 0,1,9,0,0,0,0
    -> FaceRecord(id="00006", media="Clip/clip_224x224/00006", split="train", emotion="neutral", label_set="dfew",
                  emotion_probs={"sadness": 0.1, "neutral": 0.9})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import folder_path, video, videos
from data_builders.reading.files import find, find_any
from data_builders.reading.rows import Row, columns, grid, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS

Fold = Literal[1, 2, 3, 4, 5]
Clips = Literal["clip_224x224", "clip_224x224_16f", "jpg_256", "original"]
_SPLITS: tuple[Split, ...] = ("train", "test")


def read(root: Path, *, fold: Fold = 1, clips: Clips = "clip_224x224") -> Iterator[FaceRecord | Drop | Note]:
    """The records of one of DFEW's five folds.

    Args:
        clips: the folder below Clip: aligned faces, 16 of them, whole pictures, or the videos.

    Raises:
        ConfigError: the fold's lists or the clips are not there.
    """
    folder = find(root, f"Clip/{clips}", clips, what=f"DFEW's folder {clips}")
    found = {stem.lstrip("0"): path for stem, path in videos(root, folder).items()} if clips == "original" else None
    base = folder_path(folder, root)
    lists = {split: _list(root, split, fold) for split in _SPLITS}
    sheet = find_any(root, "Annotation/annotation.xlsx", "annotation.xlsx", "*/annotation.xlsx")
    votes = {} if sheet is None else _votes(sheet)
    if not votes:
        yield Note("no votes: annotation.xlsx is not there" if sheet is None else
                   f"no votes: {sheet.name} has no columns order and 1happy to 7fear")  # fmt: skip
    odd = 0
    for split, path in lists.items():
        for row in rows(path, ("video_name", "label")):
            if isinstance(row, Drop):
                yield Drop(f"{split} {row.id}", row.reason, row.detail)
                continue
            try:
                number, emotion = _labelled(row)
                media = f"{base}{number:05d}" if found is None else video(found, str(number))
            except BadRow as e:
                yield Drop(f"{split} {row['video_name']}", e.reason, e.detail)
                continue
            shares = votes.get(number)
            # The clips are those that most annotators agree on: other votes belong to another clip.
            if shares is not None and shares.get(emotion) != max(shares.values()):
                odd, shares = odd + 1, None
            yield FaceRecord(
                id=f"{number:05d}", source="dfew", media=media, split=split, emotion=emotion, label_set="dfew",
                emotion_probs=shares, licence=SOURCE.licence,
            )  # fmt: skip
    if odd:
        yield Note(f"{odd} clips were left without votes: their label is not what most votes say")


def _list(root: Path, split: Split, fold: Fold) -> Path:
    place = f"{split}(single-labeled)/set_{fold}.csv"
    path = find(root, f"EmoLabel_DataSplit/{place}", place, f"*/{place}", f"label/single_{split}set_{fold}.csv",
                what=f"DFEW's list {place}")  # fmt: skip
    require(path, ("video_name", "label"), columns(path))
    return path


def _labelled(row: Row) -> tuple[int, str]:
    name = row["video_name"].removesuffix(".mp4")
    if not re.fullmatch(r"[0-9]{1,6}", name):
        raise BadRow("bad row", f"video_name {row['video_name']!r} is not a number")
    emotion = cells.emotion(row["label"], "dfew", {})
    if emotion is None:
        raise BadRow("unlabelled", f"label {row['label']!r}: the annotators agree on no single emotion")
    return int(name), emotion


def _votes(path: Path) -> dict[int, dict[str, float]]:
    """Shares of the votes by clip; nothing if the sheet has no such columns."""
    table = grid(path)
    for head in table:
        names = [name.lower() for name in head]
        places = {name: [i for i, text in enumerate(names) if re.fullmatch(rf"{label}[ _]*{name}", text)]
                  for label, name in _COLUMNS.items()}  # fmt: skip
        if "order" in names and all(len(found) == 1 for found in places.values()):
            order = names.index("order")
            at = {_label(label): places[name][0] for label, name in _COLUMNS.items()}
            return dict(_shares(table, order, at))
    return {}


_COLUMNS = {1: "happy", 2: "sad", 3: "neutral", 4: "angry", 5: "surprise", 6: "disgust", 7: "fear"}


def _label(label: int) -> str:
    return LABEL_SETS["dfew"].ids[label]


def _shares(table: Iterator[list[str]], order: int, at: dict[str, int]) -> Iterator[tuple[int, dict[str, float]]]:
    for row in table:
        try:
            number = cells.number(row[order])
            counts = {label: cells.number(row[place]) or 0.0 for label, place in at.items()}
        except (BadRow, IndexError):
            continue
        if number is not None and min(counts.values()) >= 0 and (total := sum(counts.values())) > 0:
            yield int(number), {label: n / total for label, n in counts.items() if n}


SOURCE = Source(
    name="dfew",
    title="DFEW",
    read=read,
    tasks=("emotion", "votes"),
    licence="DFEW terms: academic use by agreement, no passing on",
    needs="EmoLabel_DataSplit with set_1.csv to set_5.csv, and Clip with the frames or videos",
    published={"test": 2_341},
)
