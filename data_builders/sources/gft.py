"""GFT (Sayette Group Formation Task): 172,800 video frames of 96 people talking in groups of three, AU occurrence.

Paper: Girard et al., "Sayette Group Formation Task (GFT) Spontaneous Facial Expression Database", FG 2017. Licence:
signed agreement, research, no passing on. Get it: by request to the University of Pittsburgh.

Tree, as it is remembered (not checked): any of
    <anything>/001A.csv                   one a person: a frame column, a column per AU
    <anything>/001A/00001.jpg             pictures in a folder named as the person, or a video 001A.mp4
    train/…, test/…                       above the csv files, where the official split is kept so

Labels: 0 absent, 1 present, -1 or 9 not coded: not labelled. Papers score AU 1, 2, 4, 6, 10, 12, 14, 15, 23, 24 on 78
people for training and 18 for the test. Known faults: none known, because the layout is not; a table counts as labels
if it has a frame column and columns named as AUs, and everything else is named in a note.

One row:  001A.csv: 1,0,0,-1,…     (Frame, AU1, AU2, AU4, …)
    -> FaceRecord(id="001A-1", media="images/001A/00001.jpg", subject="001A", aus={1: 0, 2: 0, …}); AU4 is not in `aus`
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.files import VIDEO_SUFFIXES, find_any, relative, walk
from data_builders.reading.frames import Head, check_pattern, numbered, tables, tables_note, wide
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import AUS

_NOT_CODED = (-1, 9)


def read(root: Path, *, pictures: str | None = None, first_frame: Literal[0, 1] = 1,
         every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of GFT, one a coded frame.

    Args:
        pictures: where pictures lie, such as "images/{subject}/{frame:05d}.jpg"; None = looked for by person.
        first_frame: the number of the first picture, where labels count from 1.
        every: keep every n-th coded frame of a person.

    Raises:
        ConfigError: no table of AUs, or neither pictures nor a video of any person.
    """
    labels, other = tables(root, "", _head)
    if not labels:
        raise ConfigError(f"no csv file below {root} has a frame column and AU columns (Frame, AU1, AU2, …); there "
                          f"are {', '.join(other[:8]) or 'none'}. Set `root` to GFT's folder")  # fmt: skip
    if pictures is not None:
        check_pattern(pictures)
    people = {path: re.split(r"[_\-. ]", path.rsplit("/", 1)[-1])[0] for path in labels}
    videos = {} if pictures is not None else _videos(root)
    media = {who: _media(root, who, pictures, videos, first_frame) for who in sorted(set(people.values()))}
    if not any(media.values()):
        raise ConfigError(f"neither folders of numbered pictures nor videos named as the people ({', '.join(media)}) "
                          f"are below {root}; set `pictures`, such as '{{subject}}/{{frame:05d}}.jpg'")  # fmt: skip
    yield tables_note(labels, other)
    seen: set[str] = set()
    for path, who in people.items():
        place = media[who]
        if place is None or who in seen:
            yield Drop(path, "no pictures" if place is None else "two labels", f"person {who}")
            continue
        seen.add(who)
        split = _split(path)
        for item in wide(root / path, who, _head, lambda au, text: cells.intensity(au, text, _NOT_CODED), every):
            if isinstance(item, Drop):
                yield item
            elif (shown := place(item[0])) is None:
                yield Drop(f"{who}-{item[0]}", "no picture", f"none of {who} has the number")
            else:
                yield FaceRecord(id=f"{who}-{item[0]}", source="gft", media=shown, split=split, subject=who,
                                 aus=item[1], licence=SOURCE.licence)  # fmt: skip


def _head(names: list[str]) -> Head | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    frame = next((i for i, n in enumerate(plain) if re.fullmatch(r"frames?(number|no|num|id|index)?", n)), None)
    found = ((re.fullmatch(r"(?:au)?0*(\d{1,2})(?:occ)?", n), i) for i, n in enumerate(plain))
    aus = {int(m[1]): i for m, i in found if m and int(m[1]) in AUS}
    return Head(frame, tuple(sorted(aus.items())), len(names)) if frame is not None and aus else None


def _videos(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in walk(root, suffixes=VIDEO_SUFFIXES):
        found.setdefault(re.split(r"[_\-. ]", path.rsplit("/", 1)[-1])[0].lower(), path)
    return found


def _media(root: Path, who: str, pictures: str | None, videos: dict[str, str],
           first_frame: int) -> Callable[[int], str | None] | None:  # fmt: skip
    """From a label's frame number to the path of its picture; None where the person has none."""
    if pictures is not None:
        return lambda frame: pictures.format(subject=who, frame=frame - 1 + first_frame)
    folder = find_any(root, who, f"*/{who}", f"*/*/{who}")
    if folder is not None and (names := numbered(folder)):
        below = relative(folder, root)
        return lambda frame: f"{below}/{name}" if (name := names.get(frame - 1 + first_frame)) else None
    if (video := videos.get(who.lower())) is not None:
        return lambda frame: f"{video}#frame={frame - 1}" if frame > 0 else None
    return None


def _split(path: str) -> Split:
    for part in path.lower().split("/")[:-1]:
        if part.startswith(("train", "test")):
            return "train" if part.startswith("train") else "test"
    return ""


SOURCE = Source(
    name="gft",
    title="GFT",
    read=read,
    tasks=("au",),
    licence="GFT terms: signed agreement, research, no passing on",
    needs="one csv of AUs a person, and their pictures or videos",
    layout="recalled",
    published={"": 172_800},
)
