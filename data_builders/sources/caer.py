"""CAER: 13,201 clips of TV series in seven emotions; CAER-S: about 70,000 still frames of them.

Paper: Lee, Kim, Kim, Park & Sohn, "Context-Aware Emotion Recognition Networks", ICCV 2019. Licence: research only, TV
frames. Get it: from the authors' page.

Sources: caer-s (pictures) and caer (clips).
    CAER-S/{train,test}/{Anger,Disgust,Fear,Happy,Neutral,Sad,Surprise}/0001.png
    CAER/{train,validation,test}/<the same>/0001.avi

Labels: the folders' names. File names begin anew in each class: the id is the path. Known faults: the whole scene is
kept, often with several people, and no face is boxed; frames of one scene are near duplicates; no subjects.

One file: CAER-S/train/Happy/0001.png
    -> FaceRecord(id="train/Happy/0001.png", media="CAER-S/train/Happy/0001.png", split="train", emotion="happiness")
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.folders import SPLITS, class_records, places
from data_builders.source import Source
from facevlm.record import Drop, FaceRecord


def read_stills(root: Path) -> Iterator[FaceRecord | Drop]:
    """The records of CAER-S.

    Raises:
        ConfigError: the class folders are not found.
    """
    where = places(root, SPLITS, "CAER-S's folders train and test", prefer=("CAER-S",))
    yield from class_records(root, where, STILLS, "caer")


def read_clips(root: Path) -> Iterator[FaceRecord | Drop]:
    """The records of CAER.

    Raises:
        ConfigError: the class folders are not found.
    """
    where = places(root, SPLITS, "CAER's folders train, validation and test", prefer=("CAER",))
    yield from class_records(root, where, CLIPS, "caer", clips=True)


_LICENCE = "CAER terms: research only"
STILLS = Source(
    name="caer-s", title="CAER-S", read=read_stills, tasks=("emotion",), licence=_LICENCE,
    needs="CAER-S/train and CAER-S/test with a folder for each emotion",
)  # fmt: skip
CLIPS = Source(
    name="caer", title="CAER", read=read_clips, tasks=("emotion",), licence=_LICENCE,
    needs="CAER/train, validation and test with a folder for each emotion", published={"": 13_201},
)  # fmt: skip
