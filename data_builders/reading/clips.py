"""Clips by the names that label files give them: the ending, the case or the subfolder often differs."""

import os
from collections.abc import Mapping
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.files import VIDEO_SUFFIXES, relative, walk


def folder_path(folder: Path, root: Path) -> str:
    """A folder as the beginning of records' paths: "" for the root itself, else with a slash at its end."""
    below = relative(folder, root)
    return "" if below == "." else f"{below}/"


def videos(root: Path, folder: Path) -> dict[str, str]:
    """The videos in a folder and below it, relative to the root, by lower-case stem.

    Where two share a stem the first in sorted order stands.
    """
    found: dict[str, str] = {}
    for path in walk(root, folder_path(folder, root), VIDEO_SUFFIXES):
        found.setdefault(os.path.splitext(path.rpartition("/")[2])[0].lower(), path)
    return found


def video(found: Mapping[str, str], stem: str) -> str:
    """The video of a name, out of `videos`.

    Raises:
        BadRow: there is none.
    """
    path = found.get(stem.lower())
    if path is None:
        raise BadRow("file missing", f"no video is called {stem}")
    return path
