"""RAF-DB compound: 3,954 faces from the web in eleven compound emotions, by about 40 annotators each.

Paper: Li, Deng & Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the
Wild", CVPR 2017. Licence: non-commercial research; pictures must not be passed on. Get it: by request to the authors.

Tree: that of RAF-DB basic (see rafdb.py), under compound/ in the place of basic/
    compound/EmoLabel/list_patition_label.txt
    compound/Image/aligned/train_0001_aligned.jpg   and Image/original/train_0001.jpg
    compound/Annotation/manual/train_0001_manu_attri.txt

Labels: 1 happily surprised, 2 happily disgusted, 3 sadly fearful, 4 sadly angry, 5 sadly surprised, 6 sadly disgusted,
7 fearfully angry, 8 fearfully surprised, 9 angrily surprised, 10 angrily disgusted, 11 disgustedly surprised.
Attributes as in RAF-DB basic. Known faults: some code counts a twelfth label, "fearfully disgusted", and shifts those
after it: an id above 11 is refused. No subjects, so nothing keeps a person out of two splits.

One row:  train_0001.jpg 11
    -> FaceRecord(id="train_0001", media="compound/Image/aligned/train_0001_aligned.jpg", split="train",
                  emotion="disgustedly surprised", attributes={"gender": "female", "race": "Asian", …})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import raf
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord


def read(root: Path, *, pictures: raf.Pictures = "aligned") -> Iterator[FaceRecord | Drop | Note]:
    """The records of RAF-DB compound.

    Args:
        pictures: the 100 px aligned faces, or the pictures as they were found (the face is not boxed in these).

    Raises:
        ConfigError: the label file is not there, or the root is RAF-DB basic.
    """
    yield from raf.records(root, SOURCE, "compound", pictures)


SOURCE = Source(
    name="rafdb-compound",
    title="RAF-DB (compound)",
    read=read,
    tasks=("compound", "gender", "race"),
    licence="RAF-DB terms: non-commercial research, no passing on",
    needs="compound/EmoLabel and compound/Image",
    published={"train": 3_162, "test": 792},
)
