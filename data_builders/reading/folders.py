"""Class folders, the layout in which many sets are handed out or passed on: [split/]label/picture, or /clip."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from data_builders.reading.files import VIDEO_SUFFIXES, subfolders, system_file, walk
from data_builders.source import Source
from facevlm.config import ConfigError
from facevlm.images import SUFFIXES
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS

SPLITS: Mapping[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Folder names in lower case that say a split."""

Place = tuple[str, Split]
"""A folder that holds class folders, relative to the root ("" = the root), and its split."""


def places(root: Path, names: Mapping[str, Split], what: str, prefer: Sequence[str] = ()) -> list[Place]:
    """The folders named after a split (any case), in the root or in one folder of it.

    Args:
        what: they are, for the message: "the class folders of SFEW".
        prefer: folders of the root to look into before the others.

    Raises:
        ConfigError: there are none, or several folders of the root hold such and none of them is preferred.
    """
    inside = subfolders(root)
    for bases in ([""], *([name] for name in prefer if name in inside), inside):
        found = {base: chosen for base in bases if (chosen := _named(root, base, names))}
        if len(found) > 1:
            raise ConfigError(f"{root} holds several sets: {', '.join(found)}; set `root` to one of them")
        if found:
            return next(iter(found.values()))
    raise ConfigError(f"{what} are not in {root}: looked for folders named {', '.join(names)}; the folders there are "
                      f"{', '.join(inside[:12]) or 'none'}. Set `root` to the folder that holds them")  # fmt: skip


def _named(root: Path, base: str, names: Mapping[str, Split]) -> list[Place]:
    found = []
    for name in subfolders(root / base):
        if (split := names.get(name.lower())) is not None:
            place = f"{base}/{name}" if base else name
            # Unpacked by a tool that makes a folder of its own: Train/Train.
            while [inner.lower() for inner in subfolders(root / place)] == [name.lower()]:
                place = f"{place}/{subfolders(root / place)[0]}"
            found.append((place, split))
    return found


def class_records(root: Path, where: Sequence[Place], source: Source, label_set: str, *, clips: bool = False,
                  words: Mapping[str, str] | None = None,
                  ignore: Collection[str] = ()) -> Iterator[FaceRecord | Drop]:  # fmt: skip
    """The records of class folders, in order of their paths; the id is the path from the split's folder on.

    Args:
        clips: a class folder holds videos, or folders of frames, instead of pictures.
        words: folder name -> our label or an id of the label set, for names that the label set does not know.
        ignore: beginnings, in lower case, of the names of folders that are no class.

    Raises:
        ConfigError: a folder that is no label, or no class folder anywhere.
    """
    classes = [(place, split, _classes(root, place, label_set, words or {}, ignore)) for place, split in where]
    if not any(labels for _, _, labels in classes):
        raise ConfigError(f"no class folders in {', '.join(str(root / place) for place, _ in where)}: {label_set} "
                          f"knows {', '.join(LABEL_SETS[label_set].labels)}")  # fmt: skip
    for place, split, labels in classes:
        for path in _loose(root, place, VIDEO_SUFFIXES if clips else SUFFIXES):
            yield Drop(path, "unlabelled", "it lies in no class folder", split)
        for name, emotion in labels.items():
            folder = f"{place}/{name}" if place else name
            begin = place.rfind("/") + 1
            seen: set[str] = set()
            for path in _clips(root, folder) if clips else walk(root, folder):
                known = _stem(path)[begin:] if clips else path[begin:]
                if emotion is None:
                    yield Drop(known, "unlabelled", f"folder {name} means no label in {label_set}", split)
                elif known in seen:
                    yield Drop(known, "duplicate id", f"{path} has the name of an earlier clip; it was kept", split)
                else:
                    yield FaceRecord(id=known, source=source.name, media=path, split=split, emotion=emotion,
                                     label_set=label_set, licence=source.licence)  # fmt: skip
                    if clips:
                        seen.add(known)


def _classes(root: Path, place: str, label_set: str, words: Mapping[str, str],
             ignore: Collection[str]) -> dict[str, str | None]:  # fmt: skip
    labels, unknown = {}, []
    for name in subfolders(root / place):
        if not name.lower().startswith(tuple(ignore)):
            try:
                labels[name] = LABEL_SETS[label_set].label(words.get(name, name))
            except ValueError:
                unknown.append(name)
    if unknown:
        raise ConfigError(f"{root / place} holds folders that are no label of {label_set}: {', '.join(unknown)}. It "
                          f"knows {', '.join(LABEL_SETS[label_set].labels)}; move them away, or read the set with "
                          "source classfolders and its emotion_map")  # fmt: skip
    return labels


def _loose(root: Path, place: str, suffixes: Collection[str]) -> list[str]:
    """The files that lie in a split's folder itself."""
    names = sorted(e.name for e in os.scandir(root / place) if e.is_file() and not system_file(e.name))
    return [f"{place}/{n}" if place else n for n in names if os.path.splitext(n)[1].lower() in suffixes]


def _clips(root: Path, folder: str) -> Iterator[str]:
    """The videos and folders of frames in a class folder, a video before the folder of its name."""
    found = [(e.is_dir(), e.name) for e in os.scandir(root / folder) if not system_file(e.name)]
    for is_dir, name in sorted(found, key=lambda entry: (_stem(entry[1]), entry)):
        if is_dir or os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES:
            yield f"{folder}/{name}"


def _stem(path: str) -> str:
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in VIDEO_SUFFIXES else path
