"""Folders, globs, archives, tables, videos and lists -> pictures, one after another: never all names at once.

The order is fixed: inputs as given, folders and globs sorted by name, everything else as it is stored.
"""

import glob
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from facevlm.analyze import archives, clips, tables
from facevlm.analyze.items import Item, Seen
from facevlm.analyze.settings import Config
from facevlm.images import SUFFIXES

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"})
TABLES = frozenset({".parquet"})
LISTS = frozenset({".txt", ".lst"})


def find(inputs: Sequence[str]) -> list[Path]:
    """The files and folders that the inputs name, globs resolved; what lies in a folder that is given too is left out.

    Raises:
        FileNotFoundError: an input does not exist, or a glob matches nothing.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        path = Path(item).expanduser()
        if path.exists():
            named = [path]
        elif glob.has_magic(item):
            named = [Path(name) for name in sorted(glob.glob(os.path.expanduser(item), recursive=True))]
            if not named:
                raise FileNotFoundError(f"{item} matches no file")
        else:
            raise FileNotFoundError(f"{item} does not exist")
        for one in named:
            found.setdefault(one.resolve(), one)
    folders = {path for path in found if path.is_dir()}
    return [given for path, given in found.items() if not (folders & set(path.parents) and _walked(path))]


def listing(found: Sequence[Path], config: Config) -> Iterator[Item]:
    """All pictures of what `find` found; what cannot be read is an item whose `read` says why."""
    for path in found:
        if path.is_dir():
            for file in _walk(path):
                yield from _of(file, config)
        elif path.suffix.lower() in LISTS:
            yield from _listed(path, config)
        else:
            yield from _of(path, config)


def selected(found: Sequence[Path], config: Config) -> Iterator[Item]:
    """The pictures to analyse: all, or the first `limit`."""
    return islice(listing(found, config), config.limit)


def _of(path: Path, config: Config) -> Iterator[Item]:
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        yield from clips.items(path, config.every)
    elif suffix in TABLES:
        yield from tables.items(path, config.column, config.carry, config.root)
    elif archives.is_archive(path):
        yield from archives.items(path)
    else:
        # Whatever its name: a file that is no picture is to be reported, not overlooked.
        yield Item(str(path), partial(Seen, path))


def _walked(path: Path) -> bool:
    """Whether a walk through a folder above would come by."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES | VIDEOS


def _walk(folder: Path) -> Iterator[Path]:
    """The pictures and videos below a folder, sorted; the names of one folder at a time are held."""
    with os.scandir(folder) as entries:
        named = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in named:
        path = folder / name
        if is_folder:
            yield from _walk(path)
        elif path.suffix.lower() in SUFFIXES | VIDEOS and not name.startswith("._") and path.is_file():
            yield path


def _listed(path: Path, config: Config) -> Iterator[Item]:
    start = Path(config.root).expanduser() if config.root else path.parent
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if name := line.rstrip("\r\n"):
                yield from _of(start / name, config)
