"""UNBC-McMaster Shoulder Pain: 48,398 video frames of 25 patients in 200 sequences, AUs with intensity and pain.

Paper: Lucey et al., "Painful data: The UNBC-McMaster shoulder pain expression archive database", FG 2011. Licence:
signed agreement, research, no passing on. Get it: by request to the authors.

Tree, as the authors ship it
    Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png                      a copy with cropped faces has jpg
    Frame_Labels/PSPI/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt      one number: pain, 0-16
    Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt      lines "AU   intensity   onset   offset"
    Sequence_Labels/, AAM_landmarks/ (not needed)

Labels: AU 4, 6, 7, 9, 10, 12, 20, 25, 26, 27 with intensity 0-5, AU43 0 or 1; a file lists what is there, an empty
one says that none is. Pain is PSPI. No split: papers leave one person out. Known faults: numbers are in scientific
notation; AU43's intensity says no more than 0 or 1.

One row:  FACS/…/ll042t1aaaff022_facs.txt: 4.0000000e+00   2.0000000e+00 …     PSPI/…: 2.0000000e+00
    -> FaceRecord(id="ll042t1aaaff022", media="Images/042-ll042/ll042t1aaaff/ll042t1aaaff022.png", subject="042",
                  aus={4: 2, 6: 0, …, 43: 0}, attributes={"pain": "2"})
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, listing, relative, subfolders
from data_builders.reading.frames import thinned
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import AUS, pspi

_CODED = (4, 6, 7, 9, 10, 12, 20, 25, 26, 27, 43)
_ENDING = "_facs"


def read(root: Path, *, pictures: str = "Images", every: int = 1) -> Iterator[FaceRecord | Drop | Note]:
    """The records of UNBC-McMaster, one a frame.

    Args:
        pictures: the folder of the pictures, such as Images or aligned.
        every: keep every n-th frame of a sequence.

    Raises:
        ConfigError: no Frame_Labels, or no pictures.
    """
    labels = find(root, "Frame_Labels", "*/Frame_Labels", what="UNBC-McMaster's Frame_Labels folder")
    images = find(labels.parent, f"{pictures}/{pictures}", pictures, what="the folder of pictures")
    kinds = {name: find_any(labels, name, f"Frame_Labels/{name}") for name in ("PSPI", "FACS")}
    if not any(kinds.values()):
        find(labels, *kinds, what="a folder of frame labels")
    yield from (Note(f"Frame_Labels holds no {name}") for name, folder in kinds.items() if folder is None)
    tally: Counter[str] = Counter()
    for below in _sequences(kinds.values()):
        pain, facs = ({k: f / below / name for k, name in listing(f / below).items() if k.endswith(_ENDING)}
                      if f is not None else {} for f in kinds.values())  # fmt: skip
        shown, media = listing(images / below), relative(images / below, root)
        for key in thinned(sorted({*pain, *facs}), every):
            stem = key.removesuffix(_ENDING)
            try:
                if stem not in shown:
                    raise BadRow("no picture", f"{media} has no {stem}")
                yield _record(f"{media}/{shown[stem]}", stem, below.split("-")[0], pain.get(key), facs.get(key), tally)
            except BadRow as e:
                yield Drop(stem, e.reason, e.detail)
    if tally["unknown"]:
        yield Note(f"{tally['unknown']} codes are of no AU that is known here; they were left out")
    if tally["differ"]:
        yield Note(f"in {tally['differ']} frames PSPI is not what the AUs add up to; both are kept as labelled")


def _sequences(folders: Iterable[Path | None]) -> list[str]:
    """What any of the folders of labels holds: person/sequence."""
    return sorted({f"{person}/{sequence}" for folder in folders if folder is not None for person in subfolders(folder)
                   for sequence in subfolders(folder / person)})  # fmt: skip


def _record(media: str, stem: str, subject: str, pain: Path | None, facs: Path | None,
            tally: Counter[str]) -> FaceRecord:  # fmt: skip
    aus = _aus(facs, tally) if facs is not None else {}
    score = _score(pain) if pain is not None else None
    if score is None and not aus:
        raise BadRow("unlabelled", "neither PSPI nor FACS")
    tally["differ"] += score is not None and (added := pspi(aus)) is not None and added != score
    return FaceRecord(id=stem, source="unbc", media=media, subject=subject, aus=aus, licence=SOURCE.licence,
                      attributes={} if score is None else {"pain": f"{score:g}"})  # fmt: skip


def _score(path: Path) -> float | None:
    text = " ".join(cell for _, row in words(path) for cell in row)
    score = cells.number(text, (), "bad pain score")
    if score is not None and not 0 <= score <= 16:
        raise BadRow("bad pain score", f"{text} is not within 0-16")
    return score


def _aus(path: Path, tally: Counter[str]) -> dict[int, float]:
    """Every AU that was coded; what the file does not list is absent."""
    aus = dict.fromkeys(_CODED, 0.0)
    for number, row in words(path):
        if len(row) < 2:
            raise BadRow("bad row", f"line {number} of {path.name} has no intensity")
        au = cells.number(row[0], (), "bad AU")
        if au not in AUS:
            tally["unknown"] += 1
            continue
        level = cells.intensity(int(au), row[1])
        if level is None:
            aus.pop(int(au), None)
        else:
            aus[int(au)] = min(level, 1.0) if au == 43 else level
    return aus


SOURCE = Source(
    name="unbc",
    title="UNBC-McMaster Shoulder Pain",
    read=read,
    tasks=("au", "au intensity", "pain"),
    licence="UNBC-McMaster terms: signed agreement, research, no passing on",
    needs="Images and Frame_Labels",
    published={"": 48_398},
)
