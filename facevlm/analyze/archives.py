"""The pictures inside tar and zip files, read from the stream: nothing is unpacked.

An archive may come from anyone, so a member is refused, as a row of its own, where its name leads out of the archive,
it is no plain file, is encrypted, or is longer than a picture may be, whatever its header claims. What damages the
archive itself ends it, with one more row that says so.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Self

from facevlm.analyze.items import Item, Seen, broken
from facevlm.images import SUFFIXES, ImageError, Limits

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MOST = Limits().max_bytes
_LONG_HEADER = 2**20
"""Bytes: tarfile reads the long names and attributes before a member at a stroke, however long they claim to be."""
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError, RuntimeError,
           NotImplementedError)  # fmt: skip
"""What reading a damaged archive raises."""


def is_archive(path: Path) -> bool:
    """Whether a file is a tar or zip file by its name."""
    return path.name.lower().endswith((".zip", *_TAR))


def items(path: Path) -> Iterator[Item]:
    """The pictures of an archive, in its own order."""
    members = _zip(path) if path.suffix.lower() == ".zip" else _tar(path)
    try:
        yield from members
    except _DAMAGE as e:
        yield broken(f"{path}#", "damaged archive", f"{path}: {e}")


def _refusal(name: str, encrypted: bool = False, plain: bool = True, size: int = 0) -> tuple[str, str] | None:
    """Why a member is not read: a reason to count by, and the rest."""
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in name.replace("\\", "/").split("/"):
        return "unsafe name", f"{name} leads out of the archive"
    if not plain:
        return "not a file", f"{name} is a link or a device"
    if encrypted:
        return "encrypted", f"{name} needs a password"
    if size > _MOST:
        return "file too large", f"{name} has {size} bytes, limit {_MOST}"
    return None


def _wanted(name: str) -> bool:
    file = PurePosixPath(name.replace("\\", "/"))
    return file.suffix.lower() in SUFFIXES and not file.name.startswith("._")


def _read(stream: IO[bytes], name: str) -> Seen:
    # One byte more than allowed: what the header says of the length need not be so.
    data = stream.read(_MOST + 1)
    if len(data) > _MOST:
        raise ImageError("file too large", f"{name} has more than {_MOST} bytes")
    return Seen(data)


def _zip(path: Path) -> Iterator[Item]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _wanted(member.filename) and not member.is_dir():
                label = f"{path}#{member.filename}"
                fault = _refusal(member.filename, bool(member.flag_bits & 0x1), True, member.file_size)
                yield broken(label, *fault) if fault else Item(label, partial(_zipped, archive, member))


def _zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Seen:
    try:
        with archive.open(member) as stream:
            return _read(stream, member.filename)
    except _DAMAGE as e:
        if isinstance(e, ImageError):
            raise
        raise ImageError("damaged member", f"{member.filename}: {e}") from e


class _Header(tarfile.TarInfo):
    """A tar header; damaged ones raise, where tarfile would take all but the first for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as e:
            if buf.strip(b"\0"):  # else it is the end
                raise tarfile.ReadError(str(e)) from None
            raise
        long = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
                tarfile.GNUTYPE_LONGLINK)  # fmt: skip
        if info.type in long and info.size > _LONG_HEADER:
            raise tarfile.ReadError(f"a header claims {info.size} bytes")
        return info


def _tar(path: Path) -> Iterator[Item]:
    with tarfile.open(path, "r|*", tarinfo=_Header) as archive:
        while (member := archive.next()) is not None:
            vars(archive)["members"].clear()  # every header is kept, for a way back that a stream does not have
            if _wanted(member.name) and not member.isdir():
                label = f"{path}#{member.name}"
                fault = _refusal(member.name, False, member.isreg(), member.size)
                yield broken(label, *fault) if fault else Item(label, partial(_tarred, archive, member))


def _tarred(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Seen:
    try:
        stream = archive.extractfile(member)
        if stream is None:
            raise ImageError("not a file", member.name)
        return _read(stream, member.name)
    except _DAMAGE as e:
        if isinstance(e, ImageError):
            raise
        raise ImageError("damaged archive", f"{member.name}: {e}") from e
