"""RAF-AU: 4,601 faces from the web with blended emotions, action units coded by FACS experts.

Paper: Yan, Li, Que, Pei & Deng, "RAF-AU Database: In-the-Wild Facial Expressions with Subjective Emotion Judgement and
Objective AU Annotations", ACCV 2020. Licence: non-commercial research; pictures must not be passed on. Get it: by
request to the authors of RAF-DB.

Tree
    RAFAU_label.txt              a name and its AUs, joined by "+": some lines end in blanks, no header
    RAFAU_landmark.txt           (not needed)
    aligned/0001_aligned.jpg     the number in four digits, also where the label file writes fewer

Labels: the AUs that are seen; L or R before a number says that only one side shows it. `aus` holds the AU whatever the
side, `attributes["sided_aus"]` keeps the sides. Of the AUs that are not on a line the 24 that the set commonly codes
are labelled absent, rarer ones are not labelled. `null` is no neutral face (the votes on these pictures name emotions)
and public loaders leave it out: so do we, unless `without_aus="absent"`.

Split: the owners give none. Ours is fixed: the SHA-256 of the four-digit number, as an integer, modulo 5 is the
picture's fold; `fold` is the test set. Known faults: no subjects; the pictures are those of RAF-ML, and about 2 % of
RAF-DB's test pictures have a near-duplicate here: name these in `exclude` where RAF-DB is the test.

One row:  7.jpg 1+4+L12+25
    -> FaceRecord(id="0007", media="aligned/0007_aligned.jpg", aus={1: 1, 2: 0, 4: 1, …, 12: 1, …, 25: 1, …},
                  attributes={"sided_aus": "L12"})
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import parse_au

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 32, 39)
"""AUs that a line without them says are absent."""
FOLDS = 5


def read(root: Path, *, fold: Literal[0, 1, 2, 3, 4] = 0, without_aus: Literal["drop", "absent"] = "drop",
         exclude: list[str] | None = None) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of RAF-AU.

    Args:
        fold: which fifth is the test set; the rest is for training.
        without_aus: what a picture labelled `null` is: left out, or one on which every coded AU is absent.
        exclude: names of pictures to leave out, such as "0518" or "518.jpg".

    Raises:
        ConfigError: the label file is not there.
    """
    labels = find(root, "RAFAU_label.txt", "*/RAFAU_label.txt", "*/*/RAFAU_label.txt", what="RAF-AU's RAFAU_label.txt")
    folder = relative(labels.parent / "aligned", root)
    left_out = {_stem(name) for name in exclude or ()}
    seen = set()
    for _, row in words(labels):
        stem = _stem(row[0])
        seen.add(stem)
        try:
            if stem in left_out:
                raise BadRow("excluded", "named in the option `exclude`")
            if len(row) != 2:
                raise BadRow("bad row", f"{len(row)} cells, a name and its AUs are wanted")
            aus, sided = _aus(row[1], without_aus)
            yield FaceRecord(
                id=stem, source="rafau", media=f"{folder}/{stem}_aligned.jpg", split=_split(stem, fold), aus=aus,
                attributes={"sided_aus": "+".join(sided)} if sided else {}, licence=SOURCE.licence,
            )  # fmt: skip
        except BadRow as e:
            yield Drop(row[0], e.reason, e.detail)
    if strange := sorted(left_out - seen):
        yield Note(f"exclude names pictures that RAFAU_label.txt does not have: {', '.join(strange)}")


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].removesuffix("_aligned").zfill(4)


def _split(stem: str, fold: int) -> Split:
    return "test" if int(hashlib.sha256(stem.encode()).hexdigest(), 16) % FOLDS == fold else "train"


def _aus(text: str, without_aus: str) -> tuple[dict[int, float], list[str]]:
    """Intensity 0 or 1 by AU, and the AUs that only one side shows, as they are written."""
    aus = dict.fromkeys(CODED, 0.0)
    if text.lower() == "null":
        if without_aus == "drop":
            raise BadRow("no AU", 'the label is "null"; the option without_aus="absent" keeps such pictures')
        return aus, []
    sided = []
    for token in text.split("+"):
        match = re.fullmatch(r"([LR]?)(\d+)", token.upper())
        try:
            aus[parse_au(match[2] if match else token)] = 1.0
        except ValueError as e:
            raise BadRow("unknown AU", f"{token!r} in {text!r}: {e}") from e
        if match and match[1]:
            sided.append(token.upper())
    return aus, sided


SOURCE = Source(
    name="rafau",
    title="RAF-AU",
    read=read,
    tasks=("au",),
    licence="RAF-DB terms: non-commercial research, no passing on",
    needs="RAFAU_label.txt and aligned/",
    published={"": 4_601},
)
