"""What a batch is sent as: JSON lines, or a zip of pictures; read in memory, a picture at a time."""

import io
import zipfile
import zlib
from collections.abc import Iterator

import pydantic

from facevlm.serve.chats.routes import fault_of
from facevlm.serve.faces.analysis import Item
from facevlm.serve.faces.schema import Picture
from facevlm.serve.faults import ApiError


def from_lines(body: bytes, most: int) -> list[Item]:
    """One `Picture` in JSON a line; empty lines do not count.

    Raises:
        ApiError: 400, a line is none, there are too many or none at all.
    """
    items: list[Item] = []
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        _check(len(items) + 1, most)
        try:
            one = Picture.model_validate_json(line)
        except pydantic.ValidationError as e:
            error = fault_of(e)
            raise ApiError(400, f"line {number}: {error.message}", error.code, error.param) from None
        items.append(Item(one.image, one.id, one.faces))
    return _some(items)


def from_zip(body: bytes, most: int, max_bytes: int, max_total: int) -> list[Item]:
    """The files of a zip archive, in its order, by their names; folders do not count.

    Args:
        max_bytes: of one file; longer ones are read as far as that, and refused as too large when their turn comes.
        max_total: of all files.

    Raises:
        ApiError: 400, no archive, an encrypted or damaged file, too many or none; 413, more than `max_total` bytes.
    """
    try:
        return _some(list(_files(body, most, max_bytes, max_total)))
    # What zipfile raises for damage, encryption (RuntimeError) and odd compression.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError, OSError):
        raise ApiError(400, "the zip archive cannot be read: damaged, encrypted, or an uncommon compression",
                       "invalid_zip") from None  # fmt: skip


def _files(body: bytes, most: int, max_bytes: int, max_total: int) -> Iterator[Item]:
    total = 0
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        names = [info for info in archive.infolist() if not info.is_dir()]
        _check(len(names), most)
        for info in names:
            with archive.open(info) as file:
                # The size in the directory may be a lie: it is what comes out that counts.
                data = file.read(max_bytes + 1)
            total += len(data)
            if total > max_total:
                raise ApiError(413, f"the archive holds more than {max_total // 2**20} MiB", "too_large")
            yield Item(data, info.filename[:200])


def _check(count: int, most: int) -> None:
    if count > most:
        raise ApiError(400, f"more than {most} pictures; split the batch", "too_many_images")


def _some(items: list[Item]) -> list[Item]:
    if not items:
        raise ApiError(400, "no picture in the batch", "invalid_value")
    return items
