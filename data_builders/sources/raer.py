"""RAER: webcam and classroom clips of students in five states of learning.

Paper: Zhao et al., "CLIP-based Context-aware Academic Emotion Recognition", ICCV 2025. Licence: by agreement,
research. Get it: by request to the authors.

Tree, in part from memory
    RAER/annotation/{train,test}.txt     or RAER/test.txt
    RAER/…/<clip>/*.jpg                  frames
    RAER/bounding_box/face_abs.json      face boxes by clip and frame (not read)

Labels: lines of path, number of frames and label: 1 neutrality, 2 enjoyment, 3 confusion, 4 fatigue, 5 distraction.
Known faults: paths begin where the authors' own folder does, with or without RAER; the reader tries both against the
first clip and says which fitted; a path may hold blanks. No person ids are known. Metrics: UAR and WAR.

One row:  RAER/train/0001 64 3
    -> FaceRecord(id="RAER/train/0001", media="RAER/train/0001", split="train", emotion="confusion", label_set="raer")
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_SPLITS: tuple[Split, ...] = ("train", "test")


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of RAER.

    Raises:
        ConfigError: the lists are not there, or no clip of theirs is.
    """
    lists = {split: find(root, *(f"{place}{split}.txt" for place in ("RAER/annotation/", "annotation/", "RAER/", "")),
                         what=f"RAER's list {split}.txt") for split in _SPLITS}  # fmt: skip
    cut, put = _base(root, lists["train"])
    yield Note(f"clips are looked for with {cut!r} cut off their paths and {put!r} put before them")
    for split, path in lists.items():
        for number, row in words(path):
            try:
                clip, emotion = _labelled(row)
                if not clip.startswith(cut):
                    raise BadRow("bad row", f"{clip} does not begin with {cut} as the first clip does")
            except BadRow as e:
                yield Drop(f"{path.name} line {number}", e.reason, e.detail)
                continue
            yield FaceRecord(
                id=_own(clip), source="raer", media=put + clip.removeprefix(cut), split=split, emotion=emotion,
                label_set="raer", licence=SOURCE.licence,
            )  # fmt: skip


def _labelled(row: list[str]) -> tuple[str, str]:
    if len(row) < 3 or not row[-2].isdecimal():
        raise BadRow("bad row", f"{' '.join(row)!r} is not a path, a number of frames and a label")
    emotion = cells.emotion(row[-1], "raer", {})
    if emotion is None:
        raise BadRow("unlabelled", f"label {row[-1]!r}")
    return " ".join(row[:-2]).replace("\\", "/").rstrip("/"), emotion


def _own(clip: str) -> str:
    """A clip's path from the data set's own folder on: what lies before is the authors' machine."""
    before, mark, after = clip.rpartition("RAER/")
    return mark + after if mark else clip.lstrip("/")


def _base(root: Path, path: Path) -> tuple[str, str]:
    """What to cut off and to put before the paths of the lists, so that the first clip that can be found is."""
    tried = []
    for number, (_, row) in enumerate(words(path)):
        if number == 100:
            break
        try:
            clip, _ = _labelled(row)
        except BadRow:
            continue
        cuts = [clip.removesuffix(_own(clip)), clip.removesuffix(_own(clip).removeprefix("RAER/"))]
        for cut in dict.fromkeys(cuts):
            for put in ("", "RAER/"):
                place = put + clip.removeprefix(cut)
                if not place.startswith("/") and (root / place).exists():
                    return cut, put
                tried.append(place)
    shown = ", ".join(tried[:4]) or "nothing, since no line of it could be read"
    raise ConfigError(f"no clip of {path} is in {root}: looked for {shown}. Set `root` to the folder that holds RAER")


SOURCE = Source(
    name="raer",
    title="RAER",
    read=read,
    tasks=("emotion",),
    licence="RAER terms: research by agreement",
    needs="RAER with annotation/train.txt, annotation/test.txt and the clips' folders of frames",
    layout="recalled",
)
