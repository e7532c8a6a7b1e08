"""SFEW 2.0: 1,394 labelled film stills in seven emotions; AFEW: the clips that they are from.

Paper: Dhall et al., "Collecting Large, Richly Annotated Facial-Expression Databases from Movies", IEEE MultiMedia
2012. Licence: EULA, academic. Get it: by request to the authors (EmotiW challenge).

Sources: sfew (pictures) and afew (clips).
    Train/Angry/<movie>_<time>_<frame>.png                  Val/…   Test/ without class folders
    Train_Aligned_Faces/Angry/<the same>.png                Val_Aligned_Faces*/…
    Train_AFEW/Angry/000046280.avi                          Val_AFEW/…
    Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/*.jpg     Val_AFEW/AlignedFaces_LBPTOP_Points_Val/…

Labels: the folders Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise. The labels of the test set are withheld: Val
is what papers report, and is our split test; Test is not read. Known faults: copies have 435 or 436 pictures in Val;
some clips have no aligned faces.

One file: Val/Angry/Airheads_000519240_00000005.png
    -> FaceRecord(id="Val/Angry/Airheads_000519240_00000005.png", media=<the same>, split="test", emotion="anger")
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from data_builders.reading.files import find_any, relative, subfolders
from data_builders.reading.folders import Place, class_records, places
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_SCENES: dict[str, Split] = {"train": "train", "val": "test"}
_ALIGNED: dict[str, Split] = {
    "train_aligned_faces": "train", "val_aligned_faces": "test", "val_aligned_faces_new": "test",
}  # fmt: skip
_AFEW: dict[str, Split] = {"train_afew": "train", "val_afew": "test", **_SCENES}
_FACES = "AlignedFaces_LBPTOP_Points"


def read_stills(root: Path, *, pictures: Literal["scene", "aligned"] = "scene") -> Iterator[FaceRecord | Drop | Note]:
    """The records of SFEW.

    Args:
        pictures: the stills as they are, or the authors' aligned faces.

    Raises:
        ConfigError: the class folders are not found.
    """
    where = _one_each(places(root, _SCENES if pictures == "scene" else _ALIGNED, f"SFEW's class folders, {pictures},"))
    yield _found(where)
    yield from class_records(root, where, STILLS, "caer", ignore=tuple(_ALIGNED))


def read_clips(root: Path, *, pictures: Literal["video", "aligned"] = "video") -> Iterator[FaceRecord | Drop | Note]:
    """The records of AFEW.

    Args:
        pictures: the videos (or folders of frames) in the class folders, or the authors' aligned faces for them.

    Raises:
        ConfigError: the class folders are not found.
    """
    where = _one_each(places(root, _AFEW, "AFEW's class folders"))
    yield _found(where)
    faces = {place: _faces(root, place, split) for place, split in where}
    for item in class_records(root, where, CLIPS, "caer", clips=True, ignore=(_FACES.lower(),)):
        if isinstance(item, Drop) or pictures == "video":
            yield item
            continue
        clip = item.id.rsplit("/", 1)[1]
        folder, known = next((faces[place] for place, _ in where if item.media.startswith(f"{place}/")), ("", set()))
        if clip in known:
            yield replace(item, media=f"{folder}/{clip}")
        else:
            yield Drop(item.id, "no aligned faces", f"no folder {clip} in {folder or _FACES}", item.split)


def _one_each(where: Sequence[Place]) -> list[Place]:
    """One folder for each split: of Val_Aligned_Faces and Val_Aligned_Faces_new the second, which holds the same."""
    return [(place, split) for split, place in {split: place for place, split in where}.items()]


def _found(where: Sequence[Place]) -> Note:
    return Note(f"read from {', '.join(place for place, _ in where)}; Val is split test, the real Test has no labels")


def _faces(root: Path, place: str, split: Split) -> tuple[str, set[str]]:
    """The folder of the aligned faces of a split, and the clips in it."""
    names = [f"{_FACES}_Val", _FACES] if split == "test" else [_FACES]
    inside = [f"{place}/{name}/Faces" for name in names]
    beside = [f"{place.rpartition('/')[0] or '.'}/{names[0]}/Faces"]
    found = find_any(root, *inside, *beside)
    return ("", set()) if found is None else (relative(found, root), set(subfolders(found)))


_LICENCE = "AFEW/SFEW EULA: academic research"
STILLS = Source(
    name="sfew", title="SFEW 2.0", read=read_stills, tasks=("emotion",), licence=_LICENCE, layout="recalled",
    needs="Train and Val with a folder for each emotion", published={"train": 958, "test": 436},
)  # fmt: skip
CLIPS = Source(
    name="afew", title="AFEW", read=read_clips, tasks=("emotion",), licence=_LICENCE,
    needs="Train_AFEW and Val_AFEW with a folder for each emotion", published={"train": 773, "test": 383},
)  # fmt: skip
