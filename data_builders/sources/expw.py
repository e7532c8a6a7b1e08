"""ExpW: 91,793 faces in pictures from web searches, in seven emotions.

Paper: Zhang, Luo, Loy & Tang, "From Facial Expression Recognition to Interpersonal Relation Prediction", IJCV 2018.
Licence: research only. Get it: from the authors' page, the pictures as a split archive.

Tree:   label/label.lst     image/origin/*.jpg

Columns of label.lst, between blanks, no header: image_name face_id_in_image face_box_top face_box_left face_box_right
face_box_bottom face_box_confidence expression_label. The box is top, left, right, bottom: not x y w h, as some loaders
have it. Labels: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral. Known faults: several faces in a
picture, no subjects and no official split, so that faces of one picture may come into two splits.

One row:  angry_actor_104.jpg 0 28 113 226 141 22.9362 0
    -> FaceRecord(id="angry_actor_104.jpg-0", media="image/origin/angry_actor_104.jpg", box=(113, 28, 226, 141),
                  emotion="anger")
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative
from data_builders.reading.rows import words
from data_builders.source import Source
from facevlm.record import Drop, FaceRecord


def read(root: Path) -> Iterator[FaceRecord | Drop]:
    """The records of ExpW, one for each face.

    Raises:
        ConfigError: no label.lst, or no folder of pictures.
    """
    labels = find(root, "label/label.lst", "label.lst", "*/label.lst", "*/label/label.lst", what="ExpW's label.lst")
    pictures = find(root, "image/origin", "origin", "*/image/origin", "image", "images", what="ExpW's image/origin")
    folder = relative(pictures, root)
    for number, row in words(labels):
        if row[0] == "image_name":
            continue
        try:
            yield _record(row, folder)
        except BadRow as e:
            yield Drop(f"{row[0]}-{row[1]}" if len(row) == 8 else f"line {number}", e.reason, e.detail)


def _record(row: Sequence[str], folder: str) -> FaceRecord:
    if len(row) != 8:
        raise BadRow("bad row", f"{len(row)} cells, 8 are wanted")
    name, face, top, left, right, bottom, _, label = row
    return FaceRecord(
        id=f"{name}-{face}", source="expw", media=f"{folder}/{name}", box=cells.box([left, top, right, bottom]),
        emotion=cells.emotion(label, "expw", {}), label_set="expw", licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="expw",
    title="ExpW",
    read=read,
    tasks=("emotion",),
    licence="ExpW terms: research only",
    needs="label/label.lst and image/origin",
    published={"": 91_793},
)
