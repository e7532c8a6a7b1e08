"""LFWA: 13,143 pictures of Labeled Faces in the Wild with CelebA's 40 binary attributes.

Paper: Liu, Luo, Wang & Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015; pictures: Huang et al., "Labeled
Faces in the Wild", 2007. Licence: non-commercial research. Get it: from CelebA's authors, the pictures with them.

Tree
    lfw_att_40.mat           HDF5 (MATLAB v7.3): name (texts), label (pictures x 40), AttrName (40 texts)
    indices_train_test.mat   HDF5: indices_img_train, indices_img_test (counted from 1)
    lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg   also seen: lfw-deepfunneled/, image_path/, img/

Labels: 1 there, 0 not there. The folder is the person. Known faults: names have back-slashes; HDF5 holds arrays turned
over; lfw_att_73.mat beside it has other attributes and is not read; the split is by picture number, so the build says
if it parts a person.

One row:  name{1} = Aaron_Eckhart\\Aaron_Eckhart_0001.jpg, label(1,:) = 0 1 0 …, 1 in indices_img_train
    -> FaceRecord(id="Aaron_Eckhart_0001", media="lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg", split="train",
                  subject="Aaron_Eckhart", attributes={"5 o clock shadow": "no", …, "gender": "male"})
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_builders.reading import binary, matfile
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of LFWA.

    Raises:
        ConfigError: no lfw_att_40.mat, no folder of pictures, or arrays that do not fit one another.
    """
    labels = find(root, "lfw_att_40.mat", "*/lfw_att_40.mat", what="LFWA's lfw_att_40.mat")
    pictures = find(root, "lfw", "lfw-deepfunneled", "image_path", "img", "*/lfw", what="LFWA's folder of pictures")
    folder = relative(pictures, root)
    files, flags, names = matfile.variables(labels, "name", "label", "AttrName")
    words = binary.words(names)
    if flags.shape != (len(files), len(names)) or "male" not in words:
        raise ConfigError(f"{labels} is not LFWA's: {len(files)} names, {len(names)} attributes, and labels of shape "
                          f"{flags.shape}")  # fmt: skip
    splits = _splits(root, len(files))
    if not splits:
        yield Note("indices_train_test.mat was not found: without the official split, one is drawn by person")
    for number, (file, row) in enumerate(zip(files, flags.tolist(), strict=True), 1):
        path = file.strip().replace("\\", "/")
        person, _, name = path.rpartition("/")
        stem = name.rsplit(".", 1)[0]
        try:
            if not person or not stem:
                raise BadRow("bad name", f"{file!r} is not a person's folder and a picture")
            attributes = binary.labelled(words, [f"{flag:g}" for flag in row], "0")
            yield FaceRecord(
                id=stem, source="lfwa", media=f"{folder}/{path}", split=_split(number, splits),
                subject=person.rpartition("/")[2], attributes=attributes, licence=SOURCE.licence,
            )  # fmt: skip
        except BadRow as e:
            yield Drop(stem or f"row {number}", e.reason, e.detail)


def _splits(root: Path, rows: int) -> dict[int, Split]:
    """Row, counted from 1, -> split; empty without the file."""
    path = find_any(root, "indices_train_test.mat", "*/indices_train_test.mat")
    if path is None:
        return {}
    train, test = (np.ravel(v).astype(int) for v in matfile.variables(path, "indices_img_train", "indices_img_test"))
    found: dict[int, Split] = dict.fromkeys(train.tolist(), "train")
    found |= dict.fromkeys(test.tolist(), "test")
    if len(found) < len(train) + len(test) or not all(1 <= n <= rows for n in found):
        raise ConfigError(f"{path} does not fit lfw_att_40.mat: its rows are not 1 to {rows}, each once")
    return found


def _split(number: int, splits: dict[int, Split]) -> Split:
    if splits and number not in splits:
        raise BadRow("unknown split", f"row {number} is in neither list of indices_train_test.mat")
    return splits.get(number, "")


SOURCE = Source(
    name="lfwa",
    title="LFWA",
    read=read,
    tasks=("attributes", "gender"),
    licence="LFWA terms: non-commercial research",
    needs="lfw_att_40.mat, indices_train_test.mat and lfw/",
    published={"train": 6_263, "test": 6_880},
)
