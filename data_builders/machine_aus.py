"""AUs that a program estimated, joined to the records of any source that has none: OpenFace 2, py-feat, LibreFace csv.

    machine_aus: {tool: openface, files: openface/*.csv}          # one csv per picture or video, named after it
    machine_aus: {tool: pyfeat, files: fex.csv, key: path}        # one csv whose column `input` names the pictures

What is read                                                          becomes (0-5, present from 1)
    openface   AUxx_r 0-5, AU28 only as AUxx_c 0/1                    the intensities, and 0/1 for AU28
    pyfeat     AUxx, the probability of presence 0-1                  0/1, cut at `threshold`
    libreface  au_x_intensity 0-5 (12 AUs, trained on DISFA) and      the intensities, and 0/1 for the AUs that only
               au_x 0/1 (12 AUs, trained on BP4D)                     the other head has (7, 10, 14, 23, 24)
With `values: presence` all are 0/1: OpenFace's AUxx_c, LibreFace's au_x, and its intensities from 2 (DISFA's rule) for
the AUs that have nothing else. `au_threshold` is 1 throughout, for 0/1 codes and intensities share a record: what
DISFA-trained intensities call present from 2 counts from 1 with `values: intensity`. OpenFace's _r and _c are two
predictors, and disagree.

A row belongs to a picture by name: the file's own, or that in the column `input`, `file`, `path` … where there is one.
`key: stem` compares names without folders and endings; `key: path` compares folders too, and the longest tail of the
record's path that has a row is its row. A frame of a video ("a.mp4#frame=12", "#t=1.5") finds its row by frame or
time; a picture in a folder of frames, where the csv is named after the folder, by its place among the folder's sorted
pictures, if their number is that of the csv. A clip gets no AUs: no row is about all of it.

Nothing is guessed. Where a picture has several rows, the face that overlaps the record's face box (or landmarks)
stands; without a box, or with two such faces, the record stays as it is, as with a row of another face, a failed one
(success 0: its zeros are no labels) or none at all. Every case is counted. Records that have AUs keep them.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from data_builders.reading.cells import BadRow, number
from data_builders.reading.machine_rows import SCORE, Columns, Index, Rows, Tool
from facevlm import config as configs
from facevlm.config import ConfigError, doc
from facevlm.images import SUFFIXES
from facevlm.record import Drop, FaceRecord

Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]

BY: Mapping[Tool, str] = {"openface": "openface-2", "pyfeat": "py-feat", "libreface": "libreface"}
"""`FaceRecord.aus_by` of each tool."""
PRESENT_FROM = 2
"""DISFA's rule, for intensities that have to become 0/1."""
INSIDE = 0.5
"""Share of the smaller of two boxes that must lie in the other for both to be of one face."""


@dataclass(frozen=True)
class Options:
    """The keys of `machine_aus`."""

    tool: Tool = doc("openface, pyfeat or libreface")
    files: str = doc("a csv file, a folder of them, or a pattern (** = any depth), relative to root or absolute")
    key: Literal["stem", "path"] = doc("what names a picture: its file name, or its path as well", default="stem")
    prefix: str = doc("with key path: what names in the files begin with, and records' paths do not", default="")
    values: Literal["intensity", "presence"] = doc("intensities where the tool has them, or 0/1", default="intensity")
    threshold: float = doc("probability from which py-feat's AUs are present", default=0.5)
    min_confidence: float = doc("of OpenFace's `confidence`, py-feat's `FaceScore`", default=0)
    same_pixels: bool = doc("false: the tool saw crops, so that its boxes and landmarks mean nothing in the records' "
                            "pictures", default=True)  # fmt: skip
    unmatched: Literal["keep", "drop"] = doc("what becomes of a record without AUs that gets none", default="keep")

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}; it must be above 0, and 1 at most")
        if self.min_confidence and self.tool not in SCORE:
            raise ConfigError(f"min_confidence: {self.tool} writes no confidence; leave it at 0")


class Join:
    """A step of a build: a record -> the record with the program's AUs, or as it was. Reads no file before the first
    record that needs one.

    Raises:
        ConfigError: wrong options; on the first such record, no files, or files without this tool's columns.
    """

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = root
        try:
            self.options = configs.build(Options, dict(options))
        except ConfigError as e:
            raise ConfigError(f"machine_aus: {e}") from e
        self.counts: Counter[str] = Counter()
        """Records by what became of them: "joined", "has AUs", or why not."""
        self._index: Index | None = None

    def __call__(self, record: FaceRecord) -> FaceRecord | Drop:
        if record.aus:
            self.counts["has AUs"] += 1
            return record
        try:
            face = self._face(record)
        except BadRow as e:
            self.counts[e.reason] += 1
            kept = self.options.unmatched == "keep"
            return record if kept else Drop(record.id, f"machine AUs: {e.reason}", e.detail)
        self.counts["joined"] += 1
        points = face.landmarks if self.options.same_pixels and record.landmarks is None else record.landmarks
        return replace(record, aus=face.aus, aus_by=BY[self.options.tool], au_threshold=1, landmarks=points)

    def summary(self) -> str:
        """What was joined and what was not, in one line."""
        said = [f"{reason} {n}" for reason, n in sorted(self.counts.items(), key=lambda c: (c[0] != "joined", c[0]))]
        if self._index is not None and self._index.torn:
            said.append(f"{self._index.torn} rows of the files cannot be read")
        return f"AUs by {BY[self.options.tool]}: {', '.join(said) or 'no records'}"

    def _face(self, record: FaceRecord) -> "Face":
        o = self.options
        match = re.search(r"#(?:frame=(\d+)|t=(\d+(?:\.\d*)?))$", record.media)
        path = record.media[: match.start()] if match else record.media
        if record.frames or match is None and os.path.splitext(path)[1].lower() not in SUFFIXES:
            raise BadRow("a clip", f"{record.media} is more than one picture")
        if self._index is None:
            self._index = Index(self.root, o.tool, o.files, o.key, o.prefix)
        rows, place = self._index.find(path)
        rows = _of_moment(rows, match, place, record.media)
        faces = [face_of(cells, columns, o) for cells, columns in self._index.read(rows)]
        whole = [face for face in faces if not face.failed]
        if not whole:
            raise BadRow(faces[0].failed, f"none of {len(faces)} rows of {record.media} can be used")
        return _chosen(whole, record, o.same_pixels)


@dataclass(frozen=True, slots=True)
class Face:
    """What a row says."""

    aus: Mapping[int, float]
    box: Box | None = None
    landmarks: Points | None = None
    failed: str = ""
    """Why the row cannot be used."""


def face_of(cells: Sequence[str], columns: Columns, options: Options) -> Face:
    """What a row says.

    Raises:
        BadRow: a cell that is no number, or a value that the tool cannot have written.
    """

    def value(i: int) -> float | None:
        return number(cells[i].strip(), (), "bad row")

    if columns.success is not None and value(columns.success) != 1:
        return Face({}, failed="no face found")
    if options.min_confidence and columns.score is not None:
        score = value(columns.score)
        if score is None or score < options.min_confidence:
            return Face({}, failed="low confidence")
    aus = _aus({n: v for n, i in columns.intensity.items() if (v := value(i)) is not None},
               {n: v for n, i in columns.presence.items() if (v := value(i)) is not None}, options)  # fmt: skip
    points = tuple((x, y) for i, j in columns.points if (x := value(i)) is not None and (y := value(j)) is not None)
    rect = [v for i in columns.rect if (v := value(i)) is not None]
    box = (rect[0], rect[1], rect[0] + rect[2], rect[1] + rect[3]) if len(rect) == 4 else _hull(points)
    # py-feat writes a row without values where it finds no face.
    return Face(aus, box, points if len(points) == 68 else None, "" if aus else "no face found")


def _of_moment(rows: Rows, moment: re.Match[str] | None, place: int | None, media: str) -> Rows:
    if moment is None and place is None:
        if len(rows.frame) and rows.frame.min() != rows.frame.max():
            raise BadRow("several frames", f"the rows of {media} are of several frames, it is one picture")
        found = rows
    elif moment is not None and moment[2]:
        found = rows.of_time(float(moment[2]))
    else:
        found = rows.of_frame(int(moment[1]) if moment is not None else place or 0)
    if not len(found.frame):
        raise BadRow("no row", f"the files have {len(rows.frame)} rows for the file of {media}, none for it")
    return found


def _aus(intensity: dict[int, float], presence: dict[int, float], options: Options) -> dict[int, float]:
    probability = options.tool == "pyfeat"
    wrong = {n: v for n, v in intensity.items() if not 0 <= v <= 5}
    wrong |= {n: v for n, v in presence.items() if not (0 <= v <= 1 if probability else v in (0, 1))}
    if wrong:
        raise BadRow("bad row", f"AU values that {options.tool} does not write: {wrong}")
    codes = {n: float(v >= (options.threshold if probability else 1)) for n, v in presence.items()}
    if options.values == "intensity":
        return dict(sorted((codes | intensity).items()))
    return dict(sorted(({n: float(v >= PRESENT_FROM) for n, v in intensity.items()} | codes).items()))


def _chosen(faces: list[Face], record: FaceRecord, compare: bool) -> Face:
    """The face that the record is about."""
    want = (record.box or _hull(record.landmarks)) if compare else None
    boxes = [face.box for face in faces if face.box is not None]
    if want is None or len(boxes) < len(faces):
        if len(faces) > 1:
            raise BadRow("several faces", f"{record.media} has {len(faces)} rows, and no face box to choose by")
        return faces[0]
    overlaps = [_overlap(want, box) for box in boxes]
    fits = sorted(((iou, i) for i, (inside, iou) in enumerate(overlaps) if inside >= INSIDE), reverse=True)
    if not fits:
        raise BadRow("another face", f"no row of {record.media} is of the face at {want}")
    if len(fits) > 1 and fits[1][0] > fits[0][0] / 2:
        raise BadRow("several faces", f"{len(fits)} rows of {record.media} fit the face at {want}")
    return faces[fits[0][1]]


def _hull(points: Points | None) -> Box | None:
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _overlap(a: Box, b: Box) -> tuple[float, float]:
    """Share of the smaller box that lies in the other, and intersection over union."""
    both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    one, two = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return (both / min(one, two), both / (one + two - both)) if min(one, two) > 0 else (0.0, 0.0)
