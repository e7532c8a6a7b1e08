"""DAiSEE: 9,068 webcam clips of ten seconds of 112 students, 8,925 with four levels of engagement and three more.

Paper: Gupta et al., "DAiSEE: Towards User Engagement Recognition in the Wild", 2016. Licence: research by agreement;
clips must not be passed on. Get it: by a form.

Tree, as the authors ship it
    DataSet/{Train,Validation,Test}/110001/1100011002/1100011002.avi
    Labels/{Train,Validation,Test}Labels.csv       (AllLabels.csv is not needed)

Labels: ClipID,Boredom,Engagement,Confusion,Frustration, each 0 very low, 1 low, 2 high, 3 very high. Known faults: the
last column's name ends in a blank; ClipID ends in .avi although some files are .mp4; some clips have no labels, some
labels no clip. The person is the folder above the clip's, and the splits are by person. Metric: accuracy of the four
engagement levels.

One row:  1100011002.avi,0,2,0,0
    -> FaceRecord(id="1100011002", media="DataSet/Train/110001/1100011002/1100011002.avi", split="train",
                  subject="110001", attributes={"boredom": "0", "engagement": "2", "confusion": "0",
                  "frustration": "0"})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import folder_path, video, videos
from data_builders.reading.files import find
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_PARTS: dict[str, Split] = {"Train": "train", "Validation": "val", "Test": "test"}
_LEVELS = ("Boredom", "Engagement", "Confusion", "Frustration")


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of DAiSEE.

    Raises:
        ConfigError: the label files or the clips are not there.
    """
    places = {part: _places(root, part) for part in _PARTS}
    for part, (path, folder) in places.items():
        found, base = videos(root, folder), folder_path(folder, root)
        bare = set(found)
        for row in rows(path, ("ClipID", *_LEVELS)):
            if isinstance(row, Drop):
                yield Drop(f"{path.name} {row.id}", row.reason, row.detail)
                continue
            clip = row["ClipID"].removesuffix(".avi").removesuffix(".mp4")
            bare.discard(clip.lower())
            try:
                yield _record(row, clip, video(found, clip), base, _PARTS[part])
            except BadRow as e:
                yield Drop(row["ClipID"] or f"{path.name}, a row without ClipID", e.reason, e.detail)
        if bare:
            yield Note(f"{part}: {len(bare)} clips have no labels and were passed over")


def _places(root: Path, part: str) -> tuple[Path, Path]:
    """The labels of a part, and the folder of its clips."""
    path = find(root, f"Labels/{part}Labels.csv", f"{part}Labels.csv", f"*/Labels/{part}Labels.csv",
                what=f"DAiSEE's {part}Labels.csv")  # fmt: skip
    require(path, ("ClipID", *_LEVELS), columns(path))
    return path, find(root, f"DataSet/{part}", f"Dataset/{part}", f"*/DataSet/{part}", part,
                      what=f"DAiSEE's DataSet/{part}")  # fmt: skip


def _record(row: Row, clip: str, media: str, base: str, split: Split) -> FaceRecord:
    below = media.removeprefix(base).split("/")
    levels = {name: cells.number(row[name], (), "bad level") for name in _LEVELS}
    if any(level not in (None, 0, 1, 2, 3) for level in levels.values()):
        raise BadRow("bad level", f"{[row[name] for name in _LEVELS]} are not all within 0 to 3")
    attributes = {name.lower(): f"{level:g}" for name, level in levels.items() if level is not None}
    if not attributes:
        raise BadRow("unlabelled", "no level is given")
    return FaceRecord(
        id=clip, source="daisee", media=media, split=split, attributes=attributes, licence=SOURCE.licence,
        # Clips are named after the person too, with six digits, for copies that lie in one folder.
        subject=below[0] if len(below) > 1 and below[0] != clip else clip[:6],
    )  # fmt: skip


SOURCE = Source(
    name="daisee",
    title="DAiSEE",
    read=read,
    tasks=("engagement", "attributes"),
    licence="DAiSEE terms: research by agreement, no passing on",
    needs="Labels with TrainLabels.csv, ValidationLabels.csv and TestLabels.csv, and DataSet",
    published={"": 8_925},
)
