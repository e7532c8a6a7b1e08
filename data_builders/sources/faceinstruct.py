"""FaceInstruct-1M (Face-LLaVA): a million instructions on faces in pictures and videos of a dozen other sets.

Paper: Chaubey, Guan & Soleymani, "Face-LLaVA: Facial Expression and Attribute Understanding through Instruction
Tuning", 2025. Licence: annotations Apache-2.0; pictures and videos from their owners, under their terms. Get it:
annotations from the authors, media from each set's owner, cropped as the authors describe.

Tree
    json_files/cremad.json  dfew.json  mafw.json  ferv39k.json                     emotion in videos
               affectnet_emotion.json  rafdb.json  disfa.json  bp4d.json  …        emotion and AUs in pictures; others
                                                                                   on attributes, age, deepfakes
    the media, below the root, as the files name them, or where `media` says

Objects: LLaVA conversations (recalled): id, image or video, conversations [{from, value}]. The answer of gpt is the
caption. It was written by a model around the sets' labels: it is text to learn from, so no label is read back from it.
The task is in `attributes["task"]`. A name with "test" or "val" in it is that split; the others are for training.

Known faults: how the objects name their media is not documented, so look at what the build says is missing; an id is
unique within its file only.

One row:  json_files/rafdb.json: {"id": "3", "image": "rafdb/train_00003.jpg", "conversations": [{"from": "human",
           "value": "<image>\\nWhat is the emotion?"}, {"from": "gpt", "value": "The raised brows …"}]}
    -> FaceRecord(id="rafdb/3", media="rafdb/train_00003.jpg", split="train", caption="The raised brows …",
                  attributes={"task": "rafdb"})
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.conversations import answer, objects, picture
from data_builders.reading.files import find, relative, walk
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split


def read(root: Path, *, tasks: list[str] | None = None,
         media: dict[str, str] | None = None) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of FaceInstruct-1M.

    Args:
        tasks: the files to read, such as "rafdb" for json_files/rafdb.json; all where it is not given.
        media: task -> folder that its files' paths start from, relative to the root; the root itself for the others.

    Raises:
        ConfigError: no json_files, no conversations in them, or a task without a file.
    """
    folder = find(root, "json_files", "*/json_files", what="FaceInstruct-1M's json_files")
    below = relative(folder, root)
    files = {path.removeprefix(f"{below}/")[: -len(".json")]: path for path in walk(root, below, (".json",))}
    chosen = [stem for stem in files if tasks is None or stem in tasks]
    if strange := sorted({*(tasks or ()), *(media or ())} - files.keys()):
        raise ConfigError(f"{folder} holds no file for {', '.join(strange)}; it has {', '.join(files) or 'none'}")
    if not any("conversations" in item for stem in chosen for item in _first(root / files[stem])):
        raise ConfigError(f"no file of {folder} begins with an object that has `conversations`")
    yield Note(f"read as LLaVA conversations (recalled, not checked): {', '.join(chosen)}")
    for stem in chosen:
        base = (media or {}).get(stem, "").strip("/")
        for number, item in enumerate(objects(root / files[stem]), 1):
            if isinstance(item, Drop):
                yield item
                continue
            known = f"{stem}/{item.get('id', number)}"
            try:
                path = picture(item)
                yield FaceRecord(
                    id=known, source="faceinstruct", media=f"{base}/{path}" if base else path, split=_split(stem),
                    caption=answer(item), attributes={"task": stem}, licence=SOURCE.licence,
                )  # fmt: skip
            except BadRow as e:
                yield Drop(known, e.reason, e.detail)


def _first(path: Path) -> list[dict[str, object]]:
    first = next(objects(path), None)
    return [first] if isinstance(first, dict) else []


def _split(stem: str) -> Split:
    words = re.split(r"[^a-z]+", stem.lower())
    return "test" if "test" in words else "val" if {"val", "valid", "validation"} & set(words) else "train"


SOURCE = Source(
    name="faceinstruct",
    title="FaceInstruct-1M",
    read=read,
    tasks=("caption",),
    licence="annotations Apache-2.0; media under the terms of their own sets",
    needs="json_files, and the pictures and videos that they name",
    layout="recalled",
)
