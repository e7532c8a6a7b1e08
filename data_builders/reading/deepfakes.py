"""What sets of manipulated videos share: folders of clips, and people that swaps tie together."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_builders.reading.files import VIDEO_SUFFIXES, subfolders, system_file
from facevlm.config import ConfigError


def clips(root: Path, folder: str) -> dict[str, str]:
    """The clips of a folder by name, sorted: its videos or those in its videos/, else the folders of frames in its
    frames/, images/ or faces/, as extraction scripts leave them; each as a path below the root.
    """
    for below in (f"{folder}/videos", folder):
        if (root / below).is_dir():
            names = sorted(e.name for e in os.scandir(root / below) if not system_file(e.name))
            parts = ((os.path.splitext(name), name) for name in names)
            if found := {stem: f"{below}/{name}" for (stem, end), name in parts if end.lower() in VIDEO_SUFFIXES}:
                return found
    for below in (f"{folder}/frames", f"{folder}/images", f"{folder}/faces"):
        if (root / below).is_dir():
            return {name: f"{below}/{name}" for name in subfolders(root / below)}
    return {}


def groups(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Person -> the group that swaps tie them to, named by its first member in sorted order.

    A swap shows two people at once, so that only whole groups can be kept on one side of a split.
    """
    above: dict[str, str] = {}

    def top(person: str) -> str:
        above.setdefault(person, person)
        while above[person] != person:
            above[person] = person = above[above[person]]
        return person

    for a, b in pairs:
        first, second = sorted((top(a), top(b)))
        above[second] = first
    return {person: top(person) for person in sorted(above)}


def json_file(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ConfigError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as e:
        raise ConfigError(f"cannot read {path}: {e}") from e
