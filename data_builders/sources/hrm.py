"""Hugging Rain Man: AUs of 131,758 video frames of 98 children, 66 of them autistic; labels without the pictures.

Paper: Ji et al., "Hugging Rain Man: A Novel Facial Action Units Dataset for Analyzing Atypical Facial Expressions in
Children with Autism Spectrum Disorder", IEEE Trans. Affective Computing 2025. Licence: CC-BY-NC-SA-4.0 for labels and
features. Get it: labels by the link in the authors' repository; the pictures are not public.

Tree, as the authors' annotation tool writes it (the handed out folder was not seen)
    P1.csv                                  one a participant: frame, AU1, AU2, …, AD19, …, AU2X, …, AU43, AU0, ASD
    P1-backup.csv                           the tool's copy: left out
    origin/P1/120_0.jpg, natural/P1.jpg     the frame, and the neutral face, for those who have the pictures

Labels: 0 absent, 1 present, 2-5 present on the left, right, top or bottom: a side and no intensity. AU2X is AU26 or
AU27 without saying which. AU0 (nothing shown) and ASD (the coder's mark) are not read: a diagnosis is no label of a
face. Known faults: OpenFace's tables lie beside the labels; their columns (AU01_r) are not taken for labels.

One row:  P1.csv: 120,1,0,3,…     (frame, AU1, AU2, AU4, …)
    -> FaceRecord(id="P1-120", media="origin/P1/120_0.jpg", before="natural/P1.jpg", subject="P1",
                  aus={1: 1, 2: 0, 4: 1, …}); neither AU26 nor AU27 is in `aus`
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import listing
from data_builders.reading.frames import Head, check_pattern, tables, tables_note, wide
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import AUS

_PATTERN = "origin/{subject}/{frame}_0.jpg"


def read(root: Path, *, pictures: str | None = None, au2x: Literal[26, 27] | None = None, labels: str = "",
         every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of Hugging Rain Man, one a coded frame.

    Args:
        pictures: where they lie, such as "faces/{subject}/{frame}.jpg"; None = "origin/{subject}/{frame}_0.jpg".
        au2x: count AU2X as this AU; None = neither AU26 nor AU27 is labelled.
        labels: the folder below the root with the label files.
        every: keep every n-th coded frame of a participant.

    Raises:
        ConfigError: no table of AUs, or it is not known where the pictures lie.
    """
    if pictures is None and not (root / "origin").is_dir():
        raise ConfigError(f"{root} has no folder origin. The pictures of Hugging Rain Man are not public; if you have "
                          "them say where with `pictures`, such as 'faces/{subject}/{frame}.jpg'")  # fmt: skip
    pattern = pictures or _PATTERN
    check_pattern(pattern)
    head: Callable[[list[str]], Head | None] = partial(_head, au2x=au2x)
    found, other = tables(root, labels, head)
    found = [path for path in found if not path.endswith("-backup.csv")]
    if not found:
        raise ConfigError(f"no csv file below {root / labels} has the columns frame, AU1, AU2, …; there are "
                          f"{', '.join(other[:8]) or 'none'}. Set `labels` to the labels' folder")  # fmt: skip
    yield tables_note(found, other)
    neutral = listing(root / "natural")
    seen: set[str] = set()
    for path in found:
        who = path.rsplit("/", 1)[-1][:-4]
        if who in seen:
            yield Drop(path, "two labels", f"participant {who} has a table already")
            continue
        seen.add(who)
        before = f"natural/{neutral[who.lower()]}" if who.lower() in neutral else None
        for item in wide(root / path, who, head, _level, every):
            yield item if isinstance(item, Drop) else FaceRecord(
                id=f"{who}-{item[0]}", source="hrm", media=pattern.format(subject=who, frame=item[0]), before=before,
                subject=who, aus=item[1], licence=SOURCE.licence,
            )  # fmt: skip


def _head(names: list[str], au2x: int | None) -> Head | None:
    lower = [name.lower() for name in names]
    found = {}
    for place, name in enumerate(lower):
        if match := re.fullmatch(r"a[ud]0*(\d{1,2})e?", name):
            found[int(match[1])] = place
        elif name == "au2x" and au2x is not None:
            found[au2x] = place
    aus = tuple(sorted((au, place) for au, place in found.items() if au in AUS))
    return Head(lower.index("frame"), aus, len(names)) if "frame" in lower and aus else None


def _level(au: int, text: str) -> float | None:
    code = cells.number(text, (), "bad AU value")
    if code is not None and code not in (0, 1, 2, 3, 4, 5):
        raise BadRow("bad AU value", f"AU{au} is {text}, neither 0, 1 nor a side 2-5")
    return None if code is None else float(code > 0)


SOURCE = Source(
    name="hrm",
    title="Hugging Rain Man",
    read=read,
    tasks=("au", "change"),
    licence="CC-BY-NC-SA-4.0",
    needs="the label files, and pictures that are not public",
    layout="recalled",
    published={"": 131_758},
)
