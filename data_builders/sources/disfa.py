"""DISFA: 130,814 video frames of 27 people watching films, 12 AUs with intensity 0-5 in every frame.

Paper: Mavadati et al., "DISFA: A Spontaneous Facial Action Intensity Database", IEEE Trans. Affective Computing 2013.
Licence: signed agreement, non-commercial, no passing on. Get it: by request to the University of Denver.

Tree, as the authors ship it
    ActionUnit_Labels/SN001/SN001_au1.txt … SN001_au26.txt      lines "frame,intensity", the first frame is 1
    Videos_LeftCamera/LeftVideoSN001_comp.avi                   also Video_LeftCamera
    Videos_RightCamera/RightVideoSN001_comp.avi
Pictures are whatever the user extracted; without them a record names a frame of the video.

Labels: AU 1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26; present from intensity 2 by the usual rule (some code counts from
1). Papers report 8 of them over three folds of people, see reading/folds.py. Known faults: a person's files differ
in length, and a video from its labels by a frame; public lists name pictures from 0 although labels count from 1; nine
of the people are in DISFA+ too: hold them out of one if the other is the test.

One row:  SN001_au12.txt: 2,3     (and the eleven other files)
    -> FaceRecord(id="SN001-00002", media="Videos_LeftCamera/LeftVideoSN001_comp.avi#frame=1", subject="SN001",
                  aus={1: 0, …, 12: 3, …}, au_threshold=2)
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading import folds
from data_builders.reading.cells import BadRow
from data_builders.reading.files import VIDEO_SUFFIXES, find, relative, subfolders, walk
from data_builders.reading.frames import check_pattern, frame_number, merge, missing_note, thinned
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import PROTOCOLS

AUS = PROTOCOLS["DISFA-12"].aus
THRESHOLD = PROTOCOLS["DISFA-12"].threshold


def read(root: Path, *, fold: Literal[1, 2, 3] | None = None, camera: Literal["left", "right"] = "left",
         pictures: str | None = None, first_frame: Literal[0, 1] = 0,
         every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of DISFA, one a frame.

    Args:
        fold: test this fold's people and train on the rest; None = the build draws people.
        camera: whose video the frames are taken from.
        pictures: where extracted pictures lie, such as "Images/{subject}/{frame:05d}.png"; None = in the video.
        first_frame: the number of the first extracted picture.
        every: keep every n-th frame of a person.

    Raises:
        ConfigError: no labels, or neither videos nor a usable pattern of pictures.
    """
    labels = find(root, "ActionUnit_Labels", "*/ActionUnit_Labels", what="DISFA's ActionUnit_Labels folder")
    if pictures is not None:
        check_pattern(pictures)
    videos = {} if pictures is not None else _videos(root, labels.parent, camera)
    missing: dict[str, int] = {}
    for subject in subfolders(labels):
        try:
            split = folds.split(folds.DISFA, subject, fold)
            media = _media(subject, videos, pictures, first_frame)
        except BadRow as e:
            yield Drop(subject, e.reason, e.detail)
            continue
        files = _files(labels / subject)
        found = merge({au: words(files[au], ",") if au in files else () for au in AUS}, frame_number, subject)
        yield from found.drops
        missing |= {f"{subject} AU{au}": n for au, n in found.missing.items()}
        for frame, aus in thinned(found.frames.items(), every):
            name = f"{subject}-{frame:05d}"
            if not aus or frame < 1:
                yield Drop(name, "bad frame" if frame < 1 else "unlabelled", f"frame {frame} with {len(aus)} AUs")
                continue
            yield FaceRecord(id=name, source="disfa", media=media(frame), split=split, subject=subject, aus=aus,
                             au_threshold=THRESHOLD, licence=SOURCE.licence)  # fmt: skip
        if not found.frames:
            yield Drop(subject, "unlabelled", "its label files are empty or not there")
    yield from missing_note(missing)


def _files(folder: Path) -> dict[int, Path]:
    named = ((re.fullmatch(r"SN\d+_au0*(\d+)\.txt", p.name, re.IGNORECASE), p) for p in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in named if match}


def _videos(root: Path, base: Path, camera: str) -> dict[str, str]:
    """The videos of a camera by subject."""
    places = [name for name in subfolders(base) if name.lower().startswith("video") and camera in name.lower()]
    found: dict[str, str] = {}
    for path in (path for place in places for path in walk(root, relative(base / place, root), VIDEO_SUFFIXES)):
        if match := re.match(rf"{camera}video(SN\d+)", path.rsplit("/", 1)[-1], re.IGNORECASE):
            found.setdefault(match[1].upper(), path)
    if not found:
        shown = f"Videos_{camera.title()}Camera/{camera.title()}VideoSN001_comp.avi"
        raise ConfigError(f"DISFA's videos of the {camera} camera are not in {base}: looked for {shown}. Unpack them "
                          "there, or set `pictures`, such as 'Images/{subject}/{frame:05d}.png'")  # fmt: skip
    return found


def _media(subject: str, videos: dict[str, str], pictures: str | None, first_frame: int) -> Callable[[int], str]:
    """The path of a frame's picture, from the frame's number in the labels, which count from 1."""
    if pictures is not None:
        return lambda frame: pictures.format(subject=subject, frame=frame - 1 + first_frame)
    if subject not in videos:
        raise BadRow("no video", f"there are videos of {', '.join(videos)}")
    return lambda frame: f"{videos[subject]}#frame={frame - 1}"


SOURCE = Source(
    name="disfa",
    title="DISFA",
    read=read,
    tasks=("au", "au intensity"),
    licence="DISFA terms: signed agreement, non-commercial research, no passing on",
    needs="ActionUnit_Labels and Videos_LeftCamera or extracted pictures",
    published={"": 130_814},
)
