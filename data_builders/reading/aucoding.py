"""The AUCoding folder of BP4D and BP4D+: a table of AU occurrence for each sequence, files of intensity beside it."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative, system_file
from data_builders.reading.frames import Head, Merged, frame_number, merge, numbered, wide
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import AUS

CODED = frozenset({1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, *range(27, 40)}) & AUS.keys()
"""What the coders looked for; 25 and 26 are not among them. Older files have columns from 0 to 99 all the same."""
INTENSITY = (6, 10, 12, 14, 17)
_FOLDERS = ("Sequences(2D+3D)", "Sequences_2D+3D", "Sequences", "2D+3D", "Images", "images", "2D")
_SUBJECT = "[FM][0-9][0-9][0-9]"
_CODES = {"0": 0.0, "1": 1.0, "9": None}
_GENDER = {"F": "female", "M": "male"}


@dataclass
class Coding:
    """How to read such a set."""

    source: Source
    tasks: Collection[str]
    split: Callable[[str], Split]
    """The side a person is on; BadRow where the person is unknown."""
    intensity: bool
    pictures: str | None
    first_frame: int
    every: int
    faulty: Collection[str] = ()
    """Sequences whose labels are known not to fit their pictures."""
    tally: Counter[str] = field(default_factory=Counter)

    def records(self, root: Path) -> Iterator[FaceRecord | Drop | Note]:
        """The coded frames, sequence by sequence in order of name.

        Raises:
            ConfigError: no AU_OCC folder, or no pictures.
        """
        occurrence = find(root, "AUCoding/AU_OCC", "AU_OCC", "*/AUCoding/AU_OCC",
                          what=f"{self.source.title}'s AU_OCC folder")  # fmt: skip
        base = self._pictures(root, occurrence)
        for file in sorted(os.listdir(occurrence)):
            if file.lower().endswith(".csv") and not system_file(file):
                try:
                    yield from self._sequence(root, occurrence / file, base)
                except BadRow as e:
                    yield Drop(file[:-4], e.reason, e.detail)
        yield from self._notes()

    def _pictures(self, root: Path, occurrence: Path) -> Path:
        what = f"{self.source.title}'s folder of pictures"
        if self.pictures is not None:
            return find(root, self.pictures, what=what)
        base = occurrence.parent.parent if occurrence.parent.name == "AUCoding" else occurrence.parent
        found = find(base, *_FOLDERS, _SUBJECT, f"{_SUBJECT}*T[0-9]*", what=f"{what} (or set `pictures`)")
        return found.parent if re.match(_SUBJECT, found.name) else found

    def _sequence(self, root: Path, labels: Path, base: Path) -> Iterator[FaceRecord | Drop]:
        match = re.fullmatch(r"([FM]\d{3})_?(T\d+)", labels.stem)
        if match is None or match[2] not in self.tasks:
            raise BadRow("unknown sequence", f"{labels.name} is no subject and one of {', '.join(self.tasks)}")
        subject, task = match.groups()
        name, split = f"{subject}_{task}", self.split(subject)
        if name in self.faulty:
            raise BadRow("known fault", "its labels and its video differ in length")
        shapes = (f"{subject}/{task}", f"{subject}{task}", name)
        folder = next((base / shape for shape in shapes if (base / shape).is_dir()), None)
        if folder is None:
            raise BadRow("no pictures", f"{relative(base, root)} has no folder {' or '.join(shapes)}")
        pictures, media = numbered(folder), relative(folder, root)
        self.tally["from 0"] += 0 in pictures
        levels = self._levels(labels, name) if self.intensity else None
        yield from levels.drops if levels else ()
        for item in wide(labels, name, _head, _code, self.every):
            if isinstance(item, Drop):
                yield item
                continue
            frame, aus = item
            shown = frame - 1 + self.first_frame
            if shown not in pictures:
                yield Drop(f"{name}-{frame}", "no picture", f"none in {media} has the number {shown}")
                continue
            if levels is not None:
                self._rescale(aus, levels.frames.get(frame, {}))
            yield FaceRecord(
                id=f"{name}-{frame}", source=self.source.name, media=f"{media}/{pictures[shown]}", split=split,
                subject=subject, aus=aus, attributes={"gender": _GENDER[subject[0]]}, licence=self.source.licence,
            )  # fmt: skip

    def _levels(self, labels: Path, name: str) -> Merged[int] | None:
        folder = labels.parent.parent / "AU_INT"
        files = {au: folder / f"AU{au:02d}" / f"{labels.stem}_AU{au:02d}.csv" for au in INTENSITY}
        there = {au: words(path, ",") for au, path in files.items() if path.is_file()}
        return merge(there, frame_number, name, codes=(9,), header=1) if there else None

    def _rescale(self, aus: dict[int, float], scored: dict[int, float]) -> None:
        """Occurrence -> intensity: a bare occurrence beside intensities would read as a trace."""
        for au in INTENSITY:
            before, level = aus.pop(au, None), scored.get(au)
            if level is not None:
                aus[au] = level
                self.tally["differ"] += before is not None and (before > 0) != (level > 0)
            elif before is not None:
                self.tally["unscored"] += 1

    def _notes(self) -> Iterator[Note]:
        tally = self.tally
        if tally["from 0"] and self.first_frame == 1:
            yield Note(f"the pictures of {tally['from 0']} sequences are numbered from 0; a label was given the "
                       "picture of its own number, as in public lists (first_frame 0: the one before)")  # fmt: skip
        if tally["unscored"] or tally["differ"]:
            yield Note(f"AU_INT: {tally['unscored']} occurrences without an intensity are not labelled; in "
                       f"{tally['differ']} labels occurrence and intensity disagree: intensity stands")  # fmt: skip


def _head(names: list[str]) -> Head | None:
    """The first column is the frame, whatever it is called; the others are named by AU number, ascending."""
    numbers = [int(m[1]) if (m := re.fullmatch(r"(?:AU)?(\d{1,2})", n, re.IGNORECASE)) else -1 for n in names[1:]]
    if not numbers or any(a >= b for a, b in zip([-1, *numbers], numbers, strict=False)):
        return None
    return Head(0, tuple((au, place) for place, au in enumerate(numbers, 1) if au in CODED), len(names))


def _code(au: int, text: str) -> float | None:
    if text not in _CODES:
        raise BadRow("bad AU value", f"AU{au} is {text!r}, neither 0 nor 1 nor 9")
    return _CODES[text]
