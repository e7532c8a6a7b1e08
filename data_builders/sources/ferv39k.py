"""FERV39k: 38,935 clips of seven emotions in 22 scenes, from films and television.

Paper: Wang et al., "FERV39k: A Large-Scale Multi-Scene Dataset for Facial Expression Recognition in Videos", CVPR
2022. Licence: academic use by agreement; clips must not be passed on. Get it: by a signed agreement with the authors.

Tree, as the authors ship it
    2_ClipsforFaceCrop/Action/Happy/0267/*.jpg       cropped faces
    4_setups/All_scenes/{train,test}_All.csv         the official split over all scenes

Labels: lines of path and emotion, separated by a blank, without a header although the files end in .csv; the emotion
is the path's second folder too. Known faults: no person ids, so nothing keeps a person out of two splits. Protocol:
WAR and UAR on the test list.

One row:  Action/Happy/0267 Happy
    -> FaceRecord(id="Action/Happy/0267", media="2_ClipsforFaceCrop/Action/Happy/0267", split="train",
                  emotion="happiness", label_set="basic7")
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import folder_path
from data_builders.reading.files import find
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_LISTS: dict[Split, str] = {"train": "train_All.csv", "test": "test_All.csv"}


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of FERV39k's split over all scenes.

    Raises:
        ConfigError: the lists or the frames are not there.
    """
    base = folder_path(find(root, "2_ClipsforFaceCrop", "*/2_ClipsforFaceCrop", what="FERV39k's 2_ClipsforFaceCrop"),
                       root)  # fmt: skip
    lists = {split: find(root, f"4_setups/All_scenes/{name}", f"All_scenes/{name}", f"*/All_scenes/{name}", name,
                         what=f"FERV39k's {name}") for split, name in _LISTS.items()}  # fmt: skip
    for split, path in lists.items():
        for number, row in words(path):
            try:
                clip, emotion = _labelled(row)
            except BadRow as e:
                yield Drop(row[0] if len(row) > 1 else f"{path.name} line {number}", e.reason, e.detail)
                continue
            yield FaceRecord(
                id=clip, source="ferv39k", media=base + clip, split=split, emotion=emotion, label_set="basic7",
                licence=SOURCE.licence,
            )  # fmt: skip


def _labelled(row: list[str]) -> tuple[str, str]:
    parts = row[0].strip("/").split("/")
    if len(row) != 2 or len(parts) != 3:
        raise BadRow("bad row", f"{' '.join(row)!r} is not scene/emotion/clip and an emotion")
    emotion, folder = (cells.emotion(word, "basic7", {}) for word in (row[1], parts[1]))
    if emotion is None or emotion != folder:
        raise BadRow("labels disagree", f"{row[1]!r} for a clip in folder {parts[1]!r}")
    return "/".join(parts), emotion


SOURCE = Source(
    name="ferv39k",
    title="FERV39k",
    read=read,
    tasks=("emotion",),
    licence="FERV39k terms: academic use by agreement, no passing on",
    needs="2_ClipsforFaceCrop, and 4_setups/All_scenes with train_All.csv and test_All.csv",
    published={"train": 31_088, "test": 7_847},
)
