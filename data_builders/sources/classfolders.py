"""Class folders: any set of pictures or clips sorted into folders named after their label.

Paper: none, this is the way in for a set without a reader of its own. Licence: say it in `licence`.

Tree:   <root>/happy/a.jpg      or      <root>/train/happy/a.jpg, <root>/val/…, <root>/test/…

Labels: the folders' names, any case, as words or ids of `label_set`; `emotion_map` is for other names. What lies
deeper below a class folder belongs to the class. A folder that is neither a split nor a label is refused. Known faults
of such sets: no subjects, so nothing keeps a person out of two splits; mirrors often mix the owner's splits.

One file: <root>/train/Happy/0001.png     with label_set basic7
    -> FaceRecord(id="train/Happy/0001.png", media="train/Happy/0001.png", split="train", emotion="happiness")
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_builders.reading.cells import Code
from data_builders.reading.files import subfolders
from data_builders.reading.folders import SPLITS, class_records
from data_builders.source import Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS


def read(root: Path, *, label_set: str = "basic7", emotion_map: dict[Code, str | int] | None = None,
         split_map: dict[Code, Split] | None = None, clips: bool = False, name: str = "classfolders",
         licence: str = "unknown") -> Iterator[FaceRecord | Drop]:  # fmt: skip
    """The records of class folders.

    Args:
        label_set: name in `vocab.LABEL_SETS`: the labels on offer.
        emotion_map: folder name -> a label or id of the label set.
        split_map: folder name -> train, val or test, beside the usual names.
        clips: the class folders hold videos, or folders of frames.
        name: of the set, as the records carry it.
        licence: as the records carry it.

    Raises:
        ConfigError: an unknown label set or label, a folder that is neither split nor label, or no class folder.
    """
    if label_set not in LABEL_SETS:
        raise ConfigError(f"label_set {label_set!r} is unknown; known: {', '.join(LABEL_SETS)}")
    words = {str(folder): str(label) for folder, label in (emotion_map or {}).items()}
    for folder, label in words.items():
        try:
            LABEL_SETS[label_set].label(label)
        except ValueError as e:
            raise ConfigError(f"emotion_map.{folder}: {e}") from e
    splits = {**SPLITS, **{str(folder).lower(): split for folder, split in (split_map or {}).items()}}
    inside = subfolders(root)
    where = [(folder, splits[folder.lower()]) for folder in inside if folder.lower() in splits]
    if where and (others := [folder for folder in inside if folder.lower() not in splits]):
        raise ConfigError(f"{root} holds folders of splits, {', '.join(folder for folder, _ in where)}, and others: "
                          f"{', '.join(others)}. Known splits: {', '.join(splits)}; split_map names more")  # fmt: skip
    made_of = replace(SOURCE, name=name, licence=licence)
    yield from class_records(root, where or [("", "")], made_of, label_set, clips=clips, words=words)


SOURCE = Source(
    name="classfolders",
    title="Any set as class folders",
    read=read,
    tasks=("emotion",),
    licence="unknown",
    needs="folders named after labels, or train, val and test with such folders",
)
