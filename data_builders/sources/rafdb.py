"""RAF-DB basic: 15,339 faces from the web in seven emotions, by about 40 annotators each.

Paper: Li, Deng & Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the
Wild", CVPR 2017. Licence: non-commercial research; pictures must not be passed on. Get it: by request to the authors.

Tree, as the authors ship it           or as a common mirror has it
    basic/EmoLabel/list_patition_label.txt   {train,test}_labels.csv (not needed)
    basic/Image/aligned/train_00001_aligned.jpg   DATASET/train/5/train_00001_aligned.jpg
    basic/Image/original/train_00001.jpg
    basic/Annotation/manual/train_00001_manu_attri.txt

Labels: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral. Attributes: five landmark lines,
then gender (0 male, 1 female, 2 unsure), race (0 Caucasian, 1 African-American, 2 Asian), age (0: 0-3, 1: 4-19,
2: 20-39, 3: 40-69, 4: 70+). Known faults: "patition" is spelled so; no subjects, so nothing keeps a person out of
two splits.

One row:  train_00001.jpg 5
    -> FaceRecord(id="train_00001", media="basic/Image/aligned/train_00001_aligned.jpg", split="train",
                  emotion="sadness", attributes={"gender": "female", "race": "Caucasian", "age_group": "20-39"})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import raf
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, walk
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord


def read(root: Path, *, pictures: raf.Pictures = "aligned") -> Iterator[FaceRecord | Drop | Note]:
    """The records of RAF-DB basic.

    Args:
        pictures: the 100 px aligned faces, or the pictures as they were found (the face is not boxed in these).

    Raises:
        ConfigError: neither layout is found.
    """
    if find_any(root, "DATASET/train", "train/1") is not None:
        yield from _mirror(root)
    else:
        yield from raf.records(root, SOURCE, "basic", pictures)


def _mirror(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The class folders of the mirror: the split and the label are in the path, attributes are not there."""
    base = find(root, "DATASET", "train", what="the mirror's DATASET folder")
    yield Note("the mirror's class folders were found: no age, gender and race")
    for path in walk(root, "DATASET" if base.name == "DATASET" else ""):
        label, name = path.split("/")[-2:]
        try:
            yield raf.record(SOURCE, name.rsplit(".", 1)[0].removesuffix("_aligned"), path, label, {})
        except BadRow as e:
            yield Drop(path, e.reason, e.detail)


SOURCE = Source(
    name="rafdb",
    title="RAF-DB (basic)",
    read=read,
    tasks=("emotion", "gender", "race"),
    licence="RAF-DB terms: non-commercial research, no passing on",
    needs="basic/EmoLabel and basic/Image, or the mirror's DATASET folder",
    published={"train": 12_271, "test": 3_068},
)
