"""FER+: the pictures of FER2013, each labelled anew by ten people with eight emotions.

Paper: Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016. Licence: votes MIT; pictures as FER2013, none stated. Get it: the votes are in the authors'
repository, the pictures in FER2013's csv.

Sources: ferplus joins the two csv files and writes the pictures out; ferplus-folders reads what the authors' script
makes of them.
    fer2013new.csv    Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF
    fer2013.csv       emotion,pixels,Usage
    data/FER2013{Train,Valid,Test}/{label.csv,fer0000000.png}     no header: name,"(0, 0, 48, 48)",10 votes

Known faults: 173 rows have no picture name (no face, NF). The number in a name is the row number only up to row 58:
the files are joined by the order of their rows, and refused where `Usage` or the length differs. Four names occur
twice; the script writes one picture over the other, so that ferplus-folders drops these rows. The label.csv files that
come with the repository name them once, and have other votes than fer2013new.csv in 1,601 rows: run the script, or
know that the two sources differ. One row has nine votes.

Label: the emotion with the most votes. `majority` says when that is enough: "strict" as in the paper's "majority" mode
(single votes are set aside, the first needs more than half of the rest), "plurality" (more votes than any other).
Rows where unknown or NF wins are dropped. fer2013new.csv leaves 25,060 / 3,199 / 3,153 faces by "strict" and 26,940 /
3,396 / 3,376 by "plurality". `emotion_probs` are the shares of all votes for the eight emotions.

One row:  Training,fer0000002.png,5,0,0,3,1,0,0,0,1,0
    -> FaceRecord(id="00002", media="images/Training/00002.png", split="train", emotion="neutral",
                  emotion_probs={"neutral": 5/9, "sadness": 3/9, "anger": 1/9, "happiness": 0, ...})
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.fer import USAGES, picture
from data_builders.reading.files import find, relative
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_VOTES = (*_EMOTIONS, "unknown", "NF")
_FOLDERS: dict[str, Split] = {"FER2013Train": "train", "FER2013Valid": "val", "FER2013Test": "test"}
Majority = Literal["strict", "plurality"]


def read(root: Path, *, into: Path, majority: Majority = "strict") -> Iterator[FaceRecord | Drop | Note]:
    """The records of fer2013new.csv and fer2013.csv, joined by the order of their rows.

    Args:
        into: where the pictures are written; `media` is relative to it.
        majority: what the first emotion needs, see above.

    Raises:
        ConfigError: a file or column is missing, or the files do not have the same rows.
    """
    votes = find(root, "fer2013new.csv", "*/fer2013new.csv", what="FER+'s votes")
    pixels = find(root, "fer2013.csv", "*/fer2013.csv", what="FER2013's fer2013.csv, which has the pictures")
    require(votes, ["Usage", "Image name", *_VOTES], columns(votes))
    require(pixels, ["pixels", "Usage"], columns(pixels))
    nameless = 0
    for number, (vote, row) in enumerate(zip_longest(rows(votes), rows(pixels, ["pixels", "Usage"]))):
        if vote is None or row is None:
            raise ConfigError(f"{votes if vote is None else pixels} ends after {number} rows, the other file goes on; "
                              "they are joined by the order of rows: take both as they were handed out")  # fmt: skip
        name = f"{number:05d}"
        if isinstance(vote, Drop) or isinstance(row, Drop):
            yield Drop(name, "bad row", vote.detail if isinstance(vote, Drop) else getattr(row, "detail", ""))
            continue
        if vote["Usage"] != row["Usage"]:
            raise ConfigError(f"row {number} (from 0) is {vote['Usage']!r} in {votes} and {row['Usage']!r} in "
                              f"{pixels}; they are joined by the order of rows: take both as handed out")  # fmt: skip
        try:
            nameless += not vote["Image name"]
            yield _joined(number, vote, row["pixels"], into, majority)
        except BadRow as e:
            yield Drop(name, e.reason, e.detail, USAGES.get(vote["Usage"], ""))
    yield Note(f"{nameless} rows have no picture name and were dropped (173 in the files as handed out)")


def _joined(number: int, vote: Row, pixels: str, into: Path, majority: Majority) -> FaceRecord:
    if not vote["Image name"]:
        raise BadRow("no picture name", f"votes for no face: {vote['NF']}")
    if vote["Usage"] not in USAGES:
        raise BadRow("unknown split", f"Usage {vote['Usage']!r} is none of {', '.join(USAGES)}")
    emotion, probs = counted([vote[name] for name in _VOTES], majority)
    return FaceRecord(
        id=f"{number:05d}", source=CSV.name, media=picture(into, vote["Usage"], number, pixels),
        split=USAGES[vote["Usage"]], emotion=emotion, label_set="ferplus", emotion_probs=probs,
        licence=CSV.licence,
    )  # fmt: skip


def counted(texts: Sequence[str], majority: Majority) -> tuple[str, dict[str, float]]:
    """The emotion of ten vote counts in the order of the files, and the share of each emotion.

    Raises:
        BadRow: no counts, none ahead, or "unknown" or "no face" ahead.
    """
    if len(texts) != len(_VOTES) or not all(text.isdecimal() for text in texts):
        raise BadRow("bad votes", f"{list(texts)} are not {len(_VOTES)} counts")
    votes = [int(text) for text in texts]
    if majority == "strict":
        votes = [n if n > 1 else 0 for n in votes]
    most, of_all = max(votes), sum(votes)
    if votes.count(most) > 1 or (majority == "strict" and 2 * most <= of_all):
        raise BadRow("no majority", " ".join(f"{name} {text}" for name, text in zip(_VOTES, texts, strict=True)))
    first = _VOTES[votes.index(most)]
    if first not in _EMOTIONS:
        raise BadRow("no face" if first == "NF" else "unknown emotion", f"{most} of {sum(map(int, texts))} votes")
    known = [int(text) for text in texts[: len(_EMOTIONS)]]
    return first, {name: n / sum(known) for name, n in zip(_EMOTIONS, known, strict=True)}


def read_folders(root: Path, *, majority: Majority = "strict") -> Iterator[FaceRecord | Drop | Note]:
    """The records of the folders that the authors' script makes.

    Args:
        majority: what the first emotion needs, see above.

    Raises:
        ConfigError: none of the folders has a label.csv.
    """
    base = find(root, *(f"{above}{name}/label.csv" for above in ("", "data/", "*/", "*/data/") for name in _FOLDERS),
                what="FER+'s label.csv in FER2013Train, FER2013Valid or FER2013Test").parent.parent  # fmt: skip
    for folder, split in _FOLDERS.items():
        labels = base / folder / "label.csv"
        if not labels.is_file():
            yield Note(f"{folder} has no label.csv: there is no split {split}")
            continue
        named = Counter(row["name"] for row in _labels(labels) if not isinstance(row, Drop))
        for row in _labels(labels):
            try:
                if isinstance(row, Drop):
                    raise BadRow(row.reason, f"{row.id}: {row.detail}")
                if named[row["name"]] > 1:
                    raise BadRow("name occurs twice", "one picture was written over the other")
                yield _from_folder(row, relative(base / folder, root), split, majority)
            except BadRow as e:
                name = f"{labels.parent.name}/{row.id if isinstance(row, Drop) else row['name']}"
                yield Drop(name, e.reason, e.detail, split)


def _labels(path: Path) -> Iterator[Row | Drop]:
    return rows(path, names=["name", "box", *_VOTES])


def _from_folder(row: Row, folder: str, split: Split, majority: Majority) -> FaceRecord:
    if not row["name"]:
        raise BadRow("no picture name", f"votes for no face: {row['NF']}")
    emotion, probs = counted([row[name] for name in _VOTES], majority)
    return FaceRecord(
        id=row["name"].rsplit(".", 1)[0], source=FOLDERS.name, media=f"{folder}/{row['name']}", split=split,
        box=cells.box([text.strip() for text in row["box"].strip("()").split(",")]), emotion=emotion,
        label_set="ferplus", emotion_probs=probs, licence=FOLDERS.licence,
    )  # fmt: skip


_LICENCE = "votes MIT; pictures as FER2013: none stated, scraped from the web"
_PUBLISHED = {"train": 28_558, "val": 3_579, "test": 3_573}
CSV = Source(
    name="ferplus", title="FER+", read=read, tasks=("emotion", "votes"), licence=_LICENCE, extracts=True,
    needs="fer2013new.csv and fer2013.csv", published=_PUBLISHED, layout="labels",
)  # fmt: skip
FOLDERS = Source(
    name="ferplus-folders", title="FER+ (folders)", read=read_folders, tasks=("emotion", "votes"), licence=_LICENCE,
    needs="data/FER2013Train, FER2013Valid and FER2013Test, each with label.csv", published=_PUBLISHED,
)  # fmt: skip
