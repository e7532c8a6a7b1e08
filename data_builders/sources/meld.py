"""MELD: 13,708 utterances of the series Friends as videos, each with one of seven emotions.

Paper: Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019.
Licence: GPL-3.0 for the labels; the videos are frames of a television series, for research. Get it: public download.

Tree, as the authors ship it                             or, unpacked by others
    {train,dev,test}_sent_emo.csv
    train/train_splits/dia0_utt0.mp4                     train/dia0_utt0.mp4
    dev/dev_splits_complete/dia0_utt0.mp4                dev/dia0_utt0.mp4
    test/output_repeated_splits_test/dia0_utt0.mp4       test/dia0_utt0.mp4

Labels: Dialogue_ID, Utterance_ID, Emotion (anger, joy, sadness, neutral, disgust, fear, surprise), Utterance, Speaker,
Sentiment. Known faults: names repeat in the three parts and name different videos; some videos are missing (dev
dia110_utt7), some are broken (train dia125_utt3, test dia279_utt15); quotation marks of Windows stand as control
characters in the text; other files lie beside the test videos. A video may show several people, and the same actors
play in all parts: the speaker is an attribute, not the subject. Metric: weighted F1.

One row:  1,I’m fine.,Joey,neutral,neutral,0,3,…   in dev_sent_emo.csv
    -> FaceRecord(id="dev_dia0_utt3", media="dev/dev_splits_complete/dia0_utt3.mp4", split="val", emotion="neutral",
                  label_set="meld", attributes={"utterance": "I’m fine.", "speaker": "Joey", "sentiment": "neutral"})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import video, videos
from data_builders.reading.files import find
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
_SPLITS: dict[str, Split] = {"train": "train", "dev": "val", "test": "test"}
_WANTED = ("Dialogue_ID", "Utterance_ID", "Emotion", "Utterance")
_MORE = {"speaker": "Speaker", "sentiment": "Sentiment"}
# Windows' curly quotes and dashes, read as the control characters of the same numbers.
_WINDOWS = {n: bytes([n]).decode("cp1252", "ignore") or None for n in range(0x80, 0xA0)} | {0xA0: " "}


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of MELD.

    Raises:
        ConfigError: the csv files or the folders of videos are not there.
    """
    places = {part: _places(root, part, folder) for part, folder in _FOLDERS.items()}
    for part, (path, encoding, home) in places.items():
        found = videos(root, home)
        for row in rows(path, (*_WANTED, *_MORE.values()), encoding=encoding):
            if isinstance(row, Drop):
                yield Drop(f"{part} {row.id}", row.reason, row.detail)
                continue
            stem = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            try:
                yield _record(row, f"{part}_{stem}", video(found, stem), _SPLITS[part])
            except BadRow as e:
                yield Drop(f"{part}_{stem}", e.reason, e.detail)


def _places(root: Path, part: str, folder: str) -> tuple[Path, str, Path]:
    """The csv of a part, its encoding, and the folder of its videos."""
    path = find(root, f"{part}_sent_emo.csv", f"{part}/{part}_sent_emo.csv", f"*/{part}_sent_emo.csv",
                what=f"MELD's {part}_sent_emo.csv")  # fmt: skip
    encoding = _encoding(path)
    require(path, _WANTED, columns(path, encoding=encoding))
    return path, encoding, find(root, folder, f"{part}/{folder}", f"*/{folder}", f"*/{part}/{folder}", part,
                                f"*/{part}", what=f"MELD's folder {folder}")  # fmt: skip


def _record(row: Row, name: str, media: str, split: Split) -> FaceRecord:
    emotion = cells.emotion(row["Emotion"], "meld", {})
    if emotion is None:
        raise BadRow("unlabelled", "the cell Emotion is empty")
    attributes = {"utterance": row["Utterance"].translate(_WINDOWS).strip()}
    attributes |= {key: row[column] for key, column in _MORE.items()}
    return FaceRecord(
        id=name, source="meld", media=media, split=split, emotion=emotion, label_set="meld",
        attributes={key: text for key, text in attributes.items() if text}, licence=SOURCE.licence,
    )  # fmt: skip


def _encoding(path: Path) -> str:
    """The owners' files are UTF-8; those that went through a spreadsheet on Windows are not."""
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"  # the same bytes as cp1252, but none is undefined; `_WINDOWS` does the rest
    return "utf-8-sig"


SOURCE = Source(
    name="meld",
    title="MELD",
    read=read,
    tasks=("emotion",),
    licence="GPL-3.0 labels; videos of a television series, for research",
    needs="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv and the folders of videos",
    published={"train": 9_989, "val": 1_109, "test": 2_610},
    layout="labels",
)
