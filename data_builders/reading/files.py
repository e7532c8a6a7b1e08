"""Folders as data owners ship them: find a file under any of its known names, walk pictures in a fixed order."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from facevlm.config import ConfigError
from facevlm.images import SUFFIXES

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mkv", ".mov", ".webm", ".wmv", ".mpg", ".mpeg", ".flv", ".m4v"})


def system_file(name: str) -> bool:
    """Whether a name is what an operating system leaves beside files: "._a.jpg", ".DS_Store", "Thumbs.db"."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def find(root: Path, *names: str, what: str) -> Path:
    """The first of several known places that exists, each a path or glob pattern below the root.

    Args:
        what: the thing that is looked for, for the message: "the label file".

    Raises:
        ConfigError: none exists; says where it was looked for and what the root holds instead.
    """
    if (found := find_any(root, *names)) is not None:
        return found
    inside = root.iterdir() if root.is_dir() else ()
    here = sorted(p.name + "/" * p.is_dir() for p in inside if not system_file(p.name))
    shown = ", ".join(here[:12]) + (f" … ({len(here)} in all)" if len(here) > 12 else "")
    raise ConfigError(f"{what} is not in {root}: looked for {', '.join(names)}; the folder holds {shown or 'nothing'}."
                      " Set `root` to the folder that holds it")  # fmt: skip


def find_any(root: Path, *names: str) -> Path | None:
    """As `find`, but None where nothing exists."""
    for name in names:
        if any(c in name for c in "*?["):
            matches = sorted(p for p in root.glob(name) if not system_file(p.name))
            if matches:
                return matches[0]
        elif (root / name).exists():
            return root / name
    return None


def relative(path: Path | str, root: Path) -> str:
    """A path below the root as records hold it: relative, with forward slashes."""
    return os.path.relpath(path, root).replace(os.sep, "/")


def walk(root: Path, below: str = "", suffixes: Collection[str] = SUFFIXES) -> Iterator[str]:
    """The files below a folder of the root with one of the endings (any case), in sorted order, each relative to the
    root with forward slashes. Links are followed, a folder that leads back to itself is entered once; what operating
    systems leave behind is skipped.
    """
    # A symlink loop ends here: a folder is entered once on any one way down.
    yield from _walk(str(root), below.strip("/"), suffixes, frozenset())


def _walk(root: str, below: str, suffixes: Collection[str], above: frozenset[str]) -> Iterator[str]:
    folder = f"{root}/{below}" if below else root
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((e.name, _is_dir(e)) for e in entries if not system_file(e.name))
    except FileNotFoundError:
        return
    for name, is_dir in found:
        path = f"{below}/{name}" if below else name
        if is_dir:
            yield from _walk(root, path, suffixes, above | {real})
        elif os.path.splitext(name)[1].lower() in suffixes:
            yield path


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without those of operating systems."""
    return sorted(e.name for e in os.scandir(folder) if _is_dir(e) and not system_file(e.name))


def listing(folder: Path) -> dict[str, str]:
    """The files of one folder by lower-case stem, for labels whose case or ending differs from the files' own.

    Where two files share a stem the first in sorted order stands.
    """
    found: dict[str, str] = {}
    if folder.is_dir():
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            if entry.is_file() and not system_file(entry.name):
                found.setdefault(os.path.splitext(entry.name)[0].lower(), entry.name)
    return found
