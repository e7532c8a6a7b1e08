"""Records -> the rows and pictures of an export: what is the same for every format of `data_builders.exports`.

Other trainers open a picture file as it stands: none cuts out a face box or looks into a video, and most neither turn
a photograph by its EXIF tag nor lay a transparent one on white. What they would see otherwise than facevlm does is
found here, and written anew where the user asks for it.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError
from tqdm import tqdm

from data_builders.runner import run
from facevlm.config import ConfigError
from facevlm.images import FORMATS, Box, ImageError, crop, decode
from facevlm.mix import Row
from facevlm.prompts import to_example
from facevlm.record import FaceRecord, RecordSet, Split
from facevlm.tasks import TASKS

Picture = tuple[str, Box | None]
"""Absolute path of a picture, and the face box to cut out."""

_CHUNK = 64
"""Pictures that a process writes at a time."""


@dataclass
class Export:
    """What a format writes down."""

    name: str
    out: Path
    """Absolute: where the export will lie once it is whole."""
    records: RecordSet
    rows: dict[Split, list[Row]]
    """Which record is asked what, by split."""
    tasks: list[str]
    seed: int
    push: str | None = None
    """owner/name on the Hub, where it goes there."""
    base: Path | None = None
    """Folder that paths start from; None = they are absolute."""
    copies: dict[Picture, str] = field(default_factory=dict)
    """Pictures that are written anew: their absolute paths, below `out`."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why records, or rows, are not in it."""

    def pictures(self, record: FaceRecord, task: str) -> list[Picture]:
        """What a row shows, in order. The box is one of the record's own picture, not of others or of a clip."""
        paths = self.records.paths(record, before=TASKS[task].before)
        box = record.box if not record.frames else None
        return [(os.path.abspath(path), box if path is paths[-1] else None) for path in paths]

    def every_picture(self) -> list[Picture]:
        """All pictures that the rows show, each once, in order."""
        seen: dict[Picture, None] = {}
        for rows in self.rows.values():
            for record, task in rows:
                seen |= dict.fromkeys(self.pictures(record, task))
        return list(seen)

    def path(self, picture: Picture) -> str:
        """How a picture is named in the export."""
        path = self.copies.get(picture, picture[0])
        return path if self.base is None else Path(os.path.relpath(path, self.base)).as_posix()

    def examples(self, split: Split) -> Iterator[dict[str, Any]]:
        """The rows of a split as `prompts.to_example` gives them, `images` named as in the export.

        Wordings are drawn for training; rows to be scored have the first wording, as in facevlm's own evaluation.
        """
        seed = self.seed if split == "train" else None
        for record, task in tqdm(self.rows[split], desc=f"{self.name}: {split}", unit=" rows", disable=None):
            images = [self.path(picture) for picture in self.pictures(record, task)]
            yield {**to_example(record, images, task, seed), "licence": record.licence}


@dataclass(frozen=True)
class Format:
    """One form of export."""

    title: str
    """The tools that read it."""
    write: Callable[[Export, Path], None]
    """Fills the folder; it moves to `Export.out` afterwards."""
    load: Callable[[Export], str]
    """How to load it, in Markdown with the exact commands; for the README."""
    check: Callable[[Export], None] = lambda export: None
    """Raises ConfigError, before anything is written, for what this format cannot or must not hold."""
    front: Callable[[Export], str] = lambda export: ""
    """YAML front matter of the README."""
    splits: tuple[Split, ...] = ("train", "val", "test")
    """Out of which splits, where the config names none."""
    seed: bool = True
    """False: a test, which asks each record every task in the first wording, so that nothing is drawn."""
    upload: Callable[[Path, str], None] | None = None
    """Sends a finished folder to "owner/name" on the Hub; None = this format is not to be passed on."""
    embeds: bool = False
    """Its files hold the pictures themselves."""
    as_facevlm: bool = False
    """It is read through facevlm, which cuts out boxes and opens videos itself."""


def unlike(picture: Picture) -> str | None:
    """Why other tools would see another picture than facevlm does, in a few fixed words; None if they would not.

    Raises:
        ImageError: there is no such picture, or it is none.
    """
    path, box = picture
    if not os.path.isfile(path):
        if "#" in os.path.basename(path) and os.path.isfile(path.rpartition("#")[0]):
            return "frame of a video"
        raise ImageError("file missing", path)
    if box is not None:
        return "face box"
    try:
        with Image.open(path, formats=FORMATS) as found:
            # A PNG is asked only where its head shows a tag: to look for one, Pillow would decode all of it.
            tagged = found.format != "PNG" or "exif" in found.info
            if tagged and found.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                return "turned by EXIF"
            if found.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in found.info:
                return "transparent"
            return "more than 8 bit" if found.mode == "F" or found.mode.startswith("I") else None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as e:
        raise ImageError("not an image", f"{path}: {e}") from e


def examine(pictures: Sequence[Picture], name: str) -> dict[Picture, str]:
    """The pictures that other tools would see otherwise, with the reason; reads the head of every file.

    Raises:
        ConfigError: pictures are missing or unreadable.
    """
    found, lost = {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about size and metadata: the build has looked at those
        for picture in tqdm(pictures, desc=f"{name}: pictures", unit=" pictures", disable=None):
            try:
                if reason := unlike(picture):
                    found[picture] = reason
            except ImageError as e:
                lost.append(str(e))
    if lost:
        raise ConfigError(f"{len(lost)} of {len(pictures)} pictures cannot be read, the first: {lost[0]}; have they "
                          "moved since the records were built?")  # fmt: skip
    return found


def refuse(found: dict[Picture, str]) -> None:
    """Say what other tools would get wrong.

    Raises:
        ConfigError: anything was found.
    """
    if found:
        reasons = ", ".join(f"{reason} {n}" for reason, n in Counter(found.values()).most_common())
        raise ConfigError(
            f"{len(found)} pictures would look otherwise to other trainers, which open files as they are ({reasons}; "
            f"the first: {next(iter(found))[0]}). Either set crops=true, which writes those pictures anew, as facevlm "
            "shows them, below `out`; or build the records from pictures that are cut out already")  # fmt: skip


def save(picture: Picture, target: Path | BinaryIO) -> None:
    """Write a picture as facevlm shows it, before it is made smaller; PNG, for nothing may be lost twice.

    Raises:
        ImageError: it cannot be decoded, or the box lies outside it.
    """
    path, box = picture
    whole = decode(path)
    (whole if box is None else crop(whole, box)).save(target, "PNG")


class Copier:
    """Writes pictures anew, a chunk at a time; sent to other processes."""

    def __init__(self, pictures: Sequence[Picture], folder: Path) -> None:
        self.pictures, self.folder = pictures, folder

    def __call__(self, chunk: int) -> None:
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, len(self.pictures))):
            save(self.pictures[i], self.folder / file_name(i))


def file_name(i: int) -> str:
    """The name of the i-th picture that is written anew."""
    return f"{i:08d}.png"


def copy(pictures: Sequence[Picture], folder: Path, name: str) -> None:
    """Write the pictures anew into a folder, in processes where they are many.

    Raises:
        ConfigError: one cannot be decoded, or its face box lies outside it.
    """
    folder.mkdir()
    chunks = range(-(-len(pictures) // _CHUNK))
    workers = min(os.cpu_count() or 1, -(-len(chunks) // 8))
    with tqdm(total=len(chunks), desc=f"{name}: anew", unit=" pictures", unit_scale=_CHUNK, disable=None) as bar:
        try:
            for _ in run(partial(Copier, pictures, folder), chunks, workers):
                bar.update()
        except ImageError as e:
            raise ConfigError(f"a picture cannot be written anew: {e}") from e
