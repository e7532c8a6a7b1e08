"""Celeb-DF-v2: 590 interviews of 59 celebrities, 300 other real videos and 5,639 face swaps.

Paper: Li, Yang, Sun, Qi & Lyu, "Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics", CVPR 2020.
Licence: non-commercial research, on agreement. Get it: by form.

Tree
    Celeb-real/id0_0000.mp4           person, number
    Celeb-synthesis/id0_id1_0000.mp4  target (whose video), source (whose face), number
    YouTube-real/00170.mp4            nobody in particular
    List_of_testing_videos.txt        1 YouTube-real/00170.mp4
    Celeb-real/videos/, or Celeb-real/frames/<video>/, as other tools leave them, are read too.

Labels: the folder says what is real. The list's flag is 1 = real, 0 = fake, the reverse of most code, and is only
compared. Known faults: the official test videos show the celebrities of the training videos.

Who is kept apart: a fake shows two people, so `subject` is the group of celebrities that swaps tie together, named by
its first member; a video of YouTube-real is a person of its own. The official split cannot keep them apart: the build
refuses it unless split.allow_shared_subjects is true. split: identity leaves it out, and whole groups are drawn.

One row:  Celeb-synthesis/id1_id0_0000.mp4     and not in the list
    -> FaceRecord(id="Celeb-synthesis/id1_id0_0000", media="Celeb-synthesis/id1_id0_0000.mp4", split="train",
                  subject="id0", attributes={"authenticity": "fake", "manipulation": "face swap"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.deepfakes import clips, groups
from data_builders.reading.files import find, subfolders
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_REAL = {"celeb-real": True, "youtube-real": True, "celeb-synthesis": False}
_NAMES = {
    "celeb-real": re.compile(r"(?P<target>id\d+)_\d+"),
    "celeb-synthesis": re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_\d+"),
    "youtube-real": re.compile(r"\d+"),
}


def read(root: Path, *, split: Literal["official", "identity"] = "official") -> Iterator[FaceRecord | Drop | Note]:
    """The records of Celeb-DF-v2.

    Args:
        split: official = the list's test videos, the others train; identity = none is given, so that the build draws
            one that keeps celebrities apart.

    Raises:
        ConfigError: no folder of videos, or no test list where the official split is asked for.
    """
    folders = [name for name in subfolders(root) if name.lower() in _REAL]
    find(root, *(folders or ["Celeb-synthesis"]), what="Celeb-DF's folders Celeb-real, Celeb-synthesis, YouTube-real")
    found = {folder: clips(root, folder) for folder in folders}
    fakes = (_NAMES["celeb-synthesis"].fullmatch(stem) for folder in folders for stem in found[folder])
    people = groups((m["target"], m["source"]) for m in fakes if m is not None)
    test: dict[str, str] = {}
    if split == "official":
        path = find(root, "List_of_testing_videos.txt", what="Celeb-DF's List_of_testing_videos.txt")
        test, odd = _test(path)
        yield from odd
        yield Note("the official test videos show celebrities of the training videos: "
                   "split.allow_shared_subjects=true accepts it, options.split=identity keeps them apart")  # fmt: skip
    reversed_flags = 0
    for folder, videos in found.items():
        kind = folder.lower()
        for stem, media in videos.items():
            flag = test.pop(f"{kind}/{stem}", None)
            reversed_flags += flag is not None and (flag == "1") != _REAL[kind]
            side: Split = "" if split == "identity" else "train" if flag is None else "test"
            try:
                yield _record(f"{folder}/{stem}", kind, media, side, people)
            except BadRow as e:
                yield Drop(f"{folder}/{stem}", e.reason, e.detail, side)
    for video in sorted(test):
        yield Drop(video, "file missing", "List_of_testing_videos.txt names it, and no folder has it", "test")
    if reversed_flags:
        yield Note(f"{reversed_flags} flags of List_of_testing_videos.txt are not 1 for real and 0 for fake; the "
                   "folders decided")  # fmt: skip


def _test(path: Path) -> tuple[dict[str, str], list[Drop]]:
    """folder/video -> flag, the folder in lower case; and lines that cannot be read."""
    found: dict[str, str] = {}
    odd = []
    for number, row in words(path):
        folder, _, name = row[-1].replace("\\", "/").rpartition("/")
        if len(row) != 2 or row[0] not in ("0", "1") or folder.lower() not in _REAL:
            odd.append(Drop(f"line {number}", "bad row", f"{' '.join(row)!r} is not a flag and a video", "test"))
            continue
        found[f"{folder.lower()}/{name.rpartition('.')[0] or name}"] = row[0]
    return found, odd


def _record(name: str, kind: str, media: str, side: Split, people: dict[str, str]) -> FaceRecord:
    match = _NAMES[kind].fullmatch(name.rpartition("/")[2])
    if match is None:
        raise BadRow("bad name", f"{name!r} is not named as the videos of its folder are")
    fake = {"authenticity": "fake", "manipulation": "face swap"}
    target = match.groupdict().get("target")
    return FaceRecord(
        id=name, source="celebdf", media=media, split=side, licence=SOURCE.licence,
        subject=name if target is None else people.get(target, target),
        attributes={"authenticity": "real"} if _REAL[kind] else fake,
    )  # fmt: skip


SOURCE = Source(
    name="celebdf",
    title="Celeb-DF-v2",
    read=read,
    tasks=("real or fake",),
    licence="Celeb-DF terms: non-commercial research, no passing on",
    needs="Celeb-real/, Celeb-synthesis/, YouTube-real/ and List_of_testing_videos.txt",
    published={"test": 518},
)
