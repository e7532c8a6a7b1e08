"""CK+ (extended Cohn-Kanade): 593 posed sequences of 123 people, neutral to peak, in FACS codes and seven emotions.

Paper: Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010. Licence: signed agreement,
non-commercial, no passing on. Get it: by request to the authors.

Tree:   cohn-kanade-images/S005/001/S005_001_00000011.png
        Emotion/S005/001/S005_001_00000011_emotion.txt      one float; 327 of the 593 sequences have one
        FACS/S005/001/S005_001_00000011_facs.txt            lines "AU   intensity", both floats
Mirror: CK+48/<emotion>/S005_001_00000011.png               48 px, the last three frames of the 327, no FACS

Labels: 0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy, 6 sadness, 7 surprise. They are of the last frame.
FACS intensity 0 means present, but not scored: it becomes 1, so that an intensity of 1 may be unscored, and only the
presence of such AUs is known. AUs of the paper's list that are not in a sequence's file are absent (0): the peak frame
was coded in full. Codes that are no AU (head and eye codes that we do not know) are left out and noted.

One sequence:  S005/001, emotion 3.0000000e+00, facs 9 3 / 17 3 / 23 0 / 24 2
    -> FaceRecord(id="S005_001_00000011", media="cohn-kanade-images/S005/001/S005_001_00000011.png", subject="S005",
                  before="cohn-kanade-images/S005/001/S005_001_00000001.png", emotion="disgust",
                  aus={1: 0, ..., 9: 3, 17: 3, 23: 1, 24: 2, ...})
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative, subfolders, system_file, walk
from data_builders.reading.folders import class_records
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import AUS

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 23, 24, 25, 26, 27, 28, 29, 31, 34, 38, 39,
         43)  # fmt: skip
"""The AUs that occur in CK+ (Lucey et al. 2010, table 1)."""


def read(root: Path, *, frames: int = 1, neutral: bool = False) -> Iterator[FaceRecord | Drop | Note]:
    """The records of CK+.

    Args:
        frames: how many of the last frames of a sequence carry its emotion: 1 = the peak; 3 = the usual set of 981
            pictures. AUs are of the peak frame alone.
        neutral: add the first frame of each sequence with an emotion as neutral.

    Raises:
        ConfigError: the pictures, or both Emotion and FACS, are not found.
    """
    if frames < 1:
        raise ConfigError(f"frames is {frames}; it must be 1 or more")
    pictures = find_any(root, "cohn-kanade-images", "*/cohn-kanade-images")
    if pictures is None and (mirror := find_any(root, "CK+48", "*/CK+48", "surprise")) is not None:
        yield from _mirror(root, mirror.parent if mirror.name == "surprise" else mirror)
        return
    pictures = find(root, "cohn-kanade-images", "*/cohn-kanade-images", what="CK+'s cohn-kanade-images")
    emotions, facs = (find_any(root, name, f"*/{name}") for name in ("Emotion", "FACS"))
    if emotions is None and facs is None:
        find(root, "Emotion", "FACS", what="CK+'s folder Emotion or FACS")
    if emotions is None or facs is None:
        yield Note(f"there is no folder {'Emotion' if emotions is None else 'FACS'}: those labels are missing")
    unknown: Counter[int] = Counter()
    for subject in subfolders(pictures):
        for sequence in subfolders(pictures / subject):
            name = f"{subject}/{sequence}"
            try:
                shots = [path.rsplit("/", 1)[1] for path in walk(pictures, name)]
                if not shots:
                    raise BadRow("no pictures", f"{pictures / name} holds none")
                emotion = _emotion(_label(emotions, name, shots[-1]))
                aus = _aus(_label(facs, name, shots[-1]), unknown)
                folder = f"{relative(pictures, root)}/{name}"
                yield from _sequence(folder, shots, emotion, aus, frames, neutral)
            except BadRow as e:
                yield Drop(name, e.reason, e.detail)
    if unknown:
        yield Note("FACS codes that are no AU were left out: "
                   + ", ".join(f"{code} ({n} times)" for code, n in sorted(unknown.items())))  # fmt: skip


def _sequence(folder: str, shots: list[str], emotion: str | None, aus: dict[int, float], frames: int,
              neutral: bool) -> Iterator[FaceRecord]:  # fmt: skip
    if emotion is None and not aus:
        raise BadRow("unlabelled", "neither an emotion nor FACS codes")
    first, peak = shots[0], shots[-1]
    chosen = (shots[1:] or shots)[-frames:] if emotion is not None else [peak]
    record = FaceRecord(id="", source=SOURCE.name, media="", subject=folder.split("/")[-2], emotion=emotion,
                        label_set=None if emotion is None else "ckplus", licence=SOURCE.licence)  # fmt: skip
    if neutral and emotion is not None and first not in chosen:
        yield replace(record, id=first.rsplit(".", 1)[0], media=f"{folder}/{first}", emotion="neutral")
    for shot in chosen:
        yield replace(record, id=shot.rsplit(".", 1)[0], media=f"{folder}/{shot}", aus=aus if shot == peak else {},
                      before=None if shot == first else f"{folder}/{first}")  # fmt: skip


def _label(folder: Path | None, name: str, peak: str) -> Path | None:
    """The label file of a sequence; some have an empty folder, or none."""
    if folder is None or not (folder / name).is_dir():
        return None
    found = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() == ".txt" and not system_file(p.name))
    if len(found) > 1:
        raise BadRow("two label files", f"{folder / name} holds {', '.join(p.name for p in found)}")
    if found and found[0].stem.rsplit("_", 1)[0] != peak.rsplit(".", 1)[0]:
        raise BadRow("label of another frame", f"{found[0].name}, while the last picture is {peak}")
    return found[0] if found else None


def _emotion(path: Path | None) -> str | None:
    if path is None:
        return None
    text = [cell for _, row in words(path) for cell in row]
    if len(text) != 1:
        raise BadRow("bad label file", f"{path.name} has {len(text)} numbers, one is wanted")
    value = cells.number(text[0], (), "bad label file")
    return cells.emotion(f"{value:g}", "ckplus", {})


def _aus(path: Path | None, unknown: Counter[int]) -> dict[int, float]:
    if path is None:
        return {}
    levels: dict[int, float] = dict.fromkeys(CODED, 0.0)
    for number, row in words(path):
        values = [cells.number(text, (), "bad FACS file") for text in row]
        if len(values) != 2 or values[0] is None or values[1] is None or values[0] % 1 or not 0 <= values[1] <= 5:
            raise BadRow("bad FACS file", f"{path.name}, line {number}: {' '.join(row)!r} is no AU and intensity 0-5")
        code = int(values[0])
        if code in AUS:
            levels[code] = max(levels.get(code, 0.0), values[1], 1.0)
        else:
            unknown[code] += 1
    return levels


def _mirror(root: Path, folder: Path) -> Iterator[FaceRecord | Drop | Note]:
    yield Note("the mirror CK+48 was found: three cropped frames of a sequence, no FACS, no neutral; the options "
               "frames and neutral do not apply")  # fmt: skip
    for item in class_records(root, [(relative(folder, root).removeprefix("."), "")], SOURCE, "ckplus"):
        name = (item.id if isinstance(item, Drop) else item.media).rsplit("/", 1)[-1].rsplit(".", 1)[0]
        yield item if isinstance(item, Drop) else replace(item, id=name, subject=name.split("_")[0])


SOURCE = Source(
    name="ckplus",
    title="CK+",
    read=read,
    tasks=("emotion", "au", "au intensity", "change"),
    licence="CK+ agreement: non-commercial research, no passing on",
    needs="cohn-kanade-images, Emotion and FACS, or the mirror CK+48",
    published={"": 593},
)
