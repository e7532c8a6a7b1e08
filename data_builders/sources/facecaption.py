"""FaceCaption-15M: captions of 15 million faces from the web; the pictures are addresses to download from.

Paper: Dai et al., "15M Multimodal Facial Image-Text Dataset", 2024. Licence: captions CC BY 4.0; pictures belong to
whoever published them. Get it: Parquet files from the authors; download the pictures yourself.

Tree
    *.parquet, below any folder      columns url, face_box, laion_caption, face_caption (recalled: any case and dashes)
    your downloads                   named as the option `name` says

The option `name` is the path of a row's picture relative to the root, with fields in braces:
    {row} number of the row over all files, from 0; {index} the same within its file, {file} that file's stem
    {shard}, {key}                   row // 10000 and row % 10000: "{shard:05d}/{shard:05d}{key:04d}.jpg"
    {md5} of the address; {last} its last part without what follows "?"; any column of the files, such as {path}
Rows whose picture was not downloaded are dropped by the build ("file missing").

Known faults: many addresses are dead; a picture may hold several faces, and the box says which; its form is not
documented, so that it is an option, and a row whose numbers do not fit it is dropped.

One row:  url=https://x.org/a.jpg  face_box=[10, 20, 110, 140]  face_caption=A young woman smiles.
    -> FaceRecord(id="0", media="images/000000000.jpg", box=(10, 20, 110, 140), caption="A young woman smiles.")
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow, BoxForm
from data_builders.reading.files import walk
from data_builders.reading.rows import Row, columns, rows
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

_FIELDS = ("row", "index", "file", "shard", "key", "md5", "last")
_BOX = ("facebox", "box", "bbox", "facebbox")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")


def read(root: Path, *, name: str = "images/{row:09d}.jpg", caption: Literal["face", "laion"] = "face",
         box_form: BoxForm = "ltrb") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of FaceCaption-15M.

    Args:
        name: where a row's picture lies, see above.
        caption: the caption of the face, or the picture's from LAION.
        box_form: left, top, right, bottom; or left, top, width, height.

    Raises:
        ConfigError: no Parquet file with these columns, or a field of `name` that does not exist.
    """
    files = list(walk(root, "", (".parquet",)))
    if not files:
        raise ConfigError(f"{root} holds no .parquet file; set `root` to the folder with FaceCaption-15M's")
    yield Note(f"{len(files)} Parquet files, their columns recalled, not checked; boxes read as {box_form}")
    number = 0
    for path in files:
        found = columns(root / path)
        url, box, text = (_column(path, found, *names) for names in
                          (("url",), _BOX, (f"{caption}caption", f"{caption}captions")))  # fmt: skip
        used = _used(name, found)
        for index, row in enumerate(rows(root / path, list(dict.fromkeys((url, box, text, *used))))):
            if isinstance(row, Drop):  # Parquet gives none
                continue
            try:
                values = _values(row, row[url], path, index, number, used)
                yield _record(str(number), name, values, row[text], row[box], box_form)
            except BadRow as e:
                yield Drop(str(number), e.reason, e.detail)
            number += 1


def _column(path: str, found: list[str], *names: str) -> str:
    fits = [column for column in found if re.sub(r"[^a-z]", "", column.lower()) in names]
    if len(fits) != 1:
        raise ConfigError(f"{path} has no clear column {names[0]!r}; it has {', '.join(found)}")
    return fits[0]


def _used(name: str, found: list[str]) -> list[str]:
    """The columns that the pattern of names asks for."""
    try:
        fields = {field for _, field, _, _ in Formatter().parse(name) if field is not None}
        if fields <= {*_FIELDS, *found}:
            name.format(**dict.fromkeys(fields - {"row", "index", "shard", "key"}, ""), row=0, index=0, shard=0, key=0)
            if fields:
                return sorted(fields - set(_FIELDS))
    except (ValueError, KeyError, IndexError) as e:
        raise ConfigError(f"name {name!r} is no pattern: {e}") from e
    raise ConfigError(f"name {name!r} needs fields out of {', '.join(dict.fromkeys((*_FIELDS, *found)))}")


def _values(row: Row, url: str, path: str, index: int, number: int, used: list[str]) -> dict[str, Any]:
    return {column: row[column] for column in used} | {
        "row": number, "index": index, "file": path.rpartition("/")[2].rpartition(".")[0], "shard": number // 10_000,
        "key": number % 10_000, "md5": hashlib.md5(url.encode(), usedforsecurity=False).hexdigest(),
        "last": url.partition("?")[0].rstrip("/").rpartition("/")[2],
    }  # fmt: skip


def _record(known: str, name: str, values: dict[str, Any], text: str, box: str, form: BoxForm) -> FaceRecord:
    if not text:
        raise BadRow("unlabelled", "the caption is empty")
    media, face = name.format(**values).replace("\\", "/"), cells.box(_NUMBER.findall(box.lower()), form)
    if face is not None and face[2] <= 1 and face[3] <= 1:
        raise BadRow("bad face box", f"{box} is in shares of the picture, pixels are wanted")
    if face is None and box:
        raise BadRow("bad face box", f"{box!r} holds no numbers")
    return FaceRecord(id=known, source="facecaption", media=media, box=face, caption=text, licence=SOURCE.licence)


SOURCE = Source(
    name="facecaption",
    title="FaceCaption-15M",
    read=read,
    tasks=("caption",),
    licence="captions CC-BY-4.0; pictures belong to their publishers",
    needs="the authors' .parquet files, and your downloads of the pictures",
    layout="recalled",
)
