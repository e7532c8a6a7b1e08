"""CMOSE: clips of students in online coaching sessions, in four levels of engagement.

Paper: Wu et al., "CMOSE: Comprehensive Multi-Modality Online Student Engagement Dataset with High-Quality Labels",
CVPR Workshops 2024. Licence: CC BY-SA 4.0 for labels and features. Get it: labels and features are public, the clips
are asked for.

Tree
    final_data_1.json                            labels, as the authors ship them
    secondFeature/secondFeature/video10_100_person0.csv   OpenFace features (not read)
    …/video10_100_person0.mp4                    clips, wherever they lie below the root

Labels: an object by clip: label is Highly Disengage, Disengage, Engage or Highly Engage (0 to 3), split is train, test
or unlabel. video10_100_person0 is the 100th clip of person 0 in session 10: a person is known within a session only.
Known faults: the features alone come without clips; the objects hold long lists of numbers beside the labels. Clips of
split "unlabel" are left out unless asked for: the authors use them without labels. Metrics: accuracy, macro F1.

One row:  "video10_100_person0": {"label": "Engage", "split": "train", "embeds": [0.1, …]}
    -> FaceRecord(id="video10_100_person0", media="clips/video10_100_person0.mp4", split="train",
                  subject="video10_person0", attributes={"engagement": "2"})
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_builders.reading.cells import BadRow
from data_builders.reading.clips import video, videos
from data_builders.reading.files import find
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_LEVELS = {"highly disengage": "0", "disengage": "1", "engage": "2", "highly engage": "3"}
_SPLITS: dict[str, Split] = {"train": "train", "test": "test", "unlabel": ""}


def read(root: Path, *, unlabel: bool = False) -> Iterator[FaceRecord | Drop | Note]:
    """The records of CMOSE.

    Args:
        unlabel: also take the clips of split "unlabel", with a split that the build draws.

    Raises:
        ConfigError: the labels are not there or cannot be read, or there is not one clip.
    """
    path = find(root, "final_data_1.json", "*/final_data_1.json", what="CMOSE's final_data_1.json")
    found = videos(root, root)
    if not found:
        raise ConfigError(f"there is no video below {root}: CMOSE's public files are labels and features; ask the "
                          "authors for the clips and put them there")  # fmt: skip
    for clip, labels in sorted(_labels(path).items()):
        try:
            yield _record(clip, labels, found, unlabel)
        except BadRow as e:
            yield Drop(clip, e.reason, e.detail)


def _labels(path: Path) -> dict[str, Any]:
    try:
        # The features among the labels fill gigabytes once they are numbers: they are let go as they are read.
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_hook=_without_lists, parse_float=_nothing)
    except (OSError, ValueError) as e:
        raise ConfigError(f"cannot read {path}: {e}") from e
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds a {type(found).__name__}; an object by clip is wanted")
    return found


def _without_lists(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if not isinstance(value, list)}


def _nothing(_text: str) -> None:
    return None


def _record(clip: str, labels: Any, found: dict[str, str], unlabel: bool) -> FaceRecord:
    name = re.fullmatch(r"(video_?[^_]+)_([^_]+)_(person.+)", clip)
    if name is None or not isinstance(labels, dict):
        raise BadRow("bad row", "not an object by a name such as video10_100_person0")
    word, label = labels.get("split"), str(labels.get("label", ""))
    if word not in _SPLITS:
        raise BadRow("unknown split", f"{word!r} is none of {', '.join(_SPLITS)}")
    if word == "unlabel" and not unlabel:
        raise BadRow("unlabelled", "split is unlabel; the option unlabel takes such clips too")
    level = _LEVELS.get(" ".join(label.lower().split()).removesuffix("d"))
    if level is None:
        raise BadRow("unknown label", f"{label!r} is none of {', '.join(_LEVELS)}")
    return FaceRecord(
        id=clip, source="cmose", media=video(found, clip), split=_SPLITS[word], subject=f"{name[1]}_{name[3]}",
        attributes={"engagement": level}, licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="cmose",
    title="CMOSE",
    read=read,
    tasks=("engagement",),
    licence="CC-BY-SA-4.0 labels; clips by request",
    needs="final_data_1.json, and the clips anywhere below",
)
