"""RAF-ML: 4,908 faces from the web that show blends of six emotions, as the distribution of the annotators' votes.

Paper: Li & Deng, "Blended Emotion in-the-Wild: Multi-label Facial Expression Recognition Using Crowdsourced
Annotations and Deep Locality Feature Learning", IJCV 2019. Licence: non-commercial research; pictures must not be
passed on. Get it: by request to the authors of RAF-DB.

Tree
    EmoLabel/distribution.txt      a name and six numbers: surprise, fear, disgust, happiness, sadness, anger
    EmoLabel/partition_label.txt   a name and 0 (train) or 1 (test)
    EmoLabel/multilabel.txt        (not needed: which of the six count as shown)
    Image/aligned/0001_aligned.jpg   Image/original/0001.jpg

Labels: the shares of the six, as `emotion_probs`; `emotion` is the largest, none where two are equally large. There is
no neutral. Known faults: the numbers do not always sum to 1 and are scaled here; RAF-AU labels the same pictures under
the same names, and some are near-duplicates of RAF-DB's test pictures.

One row:  0001.jpg 0.5 0.3 0 0 0 0.2
    -> FaceRecord(id="0001", media="Image/aligned/0001_aligned.jpg", split="train", emotion="surprise",
                  emotion_probs={"surprise": 0.5, "fear": 0.3, "disgust": 0, …, "anger": 0.2})
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_builders.reading import cells, raf
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS

_SPLITS: dict[str, Split] = {"0": "train", "1": "test"}


def read(root: Path, *, pictures: raf.Pictures = "aligned",
         least_share: float = 0.0) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of RAF-ML.

    Args:
        pictures: the aligned faces, or the pictures as they were found (the face is not boxed in these).
        least_share: an emotion is named only where its share is at least this (0-1); the shares are always there.

    Raises:
        ConfigError: a label file is not there.
    """
    labels = find(root, "EmoLabel/distribution.txt", "*/EmoLabel/distribution.txt", "*/*/EmoLabel/distribution.txt",
                  what="RAF-ML's distribution.txt")  # fmt: skip
    base = labels.parent.parent
    partition = find(base, "EmoLabel/partition_label.txt", what="RAF-ML's partition_label.txt")
    splits = {_stem(row[0]): row[-1] for _, row in words(partition)}
    before, after = raf.place(base, root, pictures)
    seen = set()
    for _, row in words(labels):
        stem = _stem(row[0])
        seen.add(stem)
        try:
            yield _record(stem, f"{before}{stem}{after}", splits.get(stem, ""), row[1:], least_share)
        except BadRow as e:
            yield Drop(row[0], e.reason, e.detail)
    for stem in splits:
        if stem not in seen:
            yield Drop(stem, "unlabelled", "in partition_label.txt and not in distribution.txt")


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _record(stem: str, media: str, part: str, numbers: Sequence[str], least_share: float) -> FaceRecord:
    shares = _shares(numbers)
    if part not in _SPLITS:
        raise BadRow("unknown split", f"{part!r} in partition_label.txt is neither 0 (train) nor 1 (test)")
    top = max(shares.values())
    named = [label for label, share in shares.items() if share == top]
    return FaceRecord(
        id=stem, source="rafml", media=media, split=_SPLITS[part], label_set="rafml", emotion_probs=shares,
        emotion=named[0] if len(named) == 1 and top >= least_share else None, licence=SOURCE.licence,
    )  # fmt: skip


def _shares(numbers: Sequence[str]) -> dict[str, float]:
    labels = LABEL_SETS["rafml"].labels
    if len(numbers) != len(labels):
        raise BadRow("bad row", f"{len(numbers)} numbers after the name, six are wanted")
    values = [cells.number(text, (), "bad distribution") for text in numbers]
    known = [value for value in values if value is not None and value >= 0]
    if len(known) != len(labels) or not sum(known):
        raise BadRow("bad distribution", f"{' '.join(numbers)} are not six shares")
    return {label: value / sum(known) for label, value in zip(labels, known, strict=True)}


SOURCE = Source(
    name="rafml",
    title="RAF-ML",
    read=read,
    tasks=("votes", "emotion"),
    licence="RAF-DB terms: non-commercial research, no passing on",
    needs="EmoLabel/distribution.txt, EmoLabel/partition_label.txt and Image",
    published={"train": 3_926, "test": 982},
)
