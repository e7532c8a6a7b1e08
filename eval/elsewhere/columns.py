"""Which column of a file holds what: found by its name, whatever its case, or named in the config.

    columns: {id: ImageName, answer: Predicted}
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from eval.elsewhere.reading import Reader
from facevlm.config import ConfigError
from facevlm.vocab import AUS

ROLES: dict[str, tuple[str, ...]] = {
    "id": ("id", "record_id", "image_id", "sample_id", "name", "image", "image_name", "image_path", "path", "file",
           "file_name", "filename", "video", "video_path"),
    "text": ("text", "response", "output", "prediction", "pred", "answer", "generated_text", "completion",
             "description"),
    "answer": ("emotion", "label", "prediction", "pred", "predicted", "pred_label", "predicted_label", "answer",
               "expression", "class"),
    "aus": ("aus", "pred_aus", "au", "action_units"),
    "valence": ("valence", "val"), "arousal": ("arousal", "aro"),
    "subject": ("subject", "subject_id", "person"),
    "gold": ("gold", "gt", "gold_label", "gt_label", "gt_labels", "true_label", "target"),
    "gold_aus": ("gold_aus", "gt_aus"), "gold_valence": ("gold_valence",), "gold_arousal": ("gold_arousal",),
}  # fmt: skip
"""What a column can be, and the names it goes by, the likeliest first."""
_AU_COLUMN = re.compile(r"(gold_|gt_)?au_?0*([1-9][0-9]?)(?:_[cr])?")


def plain(name: str) -> str:
    """A column's name as it is compared."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def find_columns(available: Sequence[str], reader: Reader, given: Mapping[str, str]) -> dict[str, str]:
    """The column of each role that there is one for.

    Raises:
        ConfigError: a role or a column in `given` that does not exist.
    """
    if strange := sorted(given.keys() - ROLES.keys()):
        raise ConfigError(f"columns: {', '.join(strange)} is nothing a column can be; known: {', '.join(ROLES)}")
    if missing := [name for name in given.values() if name not in available]:
        raise ConfigError(f"there is no column {', '.join(map(repr, missing))}; the file has {_listed(available)}")
    by_name = {plain(name): name for name in reversed(available)}
    theirs = {"id": reader.ids, "text": reader.texts}
    found = dict(given)
    for role, names in ROLES.items():
        name = next((by_name[plain(name)] for name in (*theirs.get(role, ()), *names) if plain(name) in by_name), None)
        if name is not None:
            found.setdefault(role, name)
    return found


def _listed(available: Sequence[str]) -> str:
    return ", ".join(map(repr, available)) or "no columns"


def lacking(role: str, available: Sequence[str], reader: Reader) -> ConfigError:
    """What to say where the column of a role is wanted and not there."""
    theirs = {"id": reader.ids, "text": reader.texts}.get(role, ())
    names = dict.fromkeys((*theirs, *ROLES[role]))
    return ConfigError(f"no column for {role}: the file has {_listed(available)}. Known names are {', '.join(names)}; "
                       f"or say which it is: columns={{{role}: …}}")  # fmt: skip


def au_columns(available: Iterable[str], gold: bool = False) -> dict[int, str]:
    """The columns that hold one AU each: "AU06", "AU6_c", and "gold_AU6" for the truth."""
    found: dict[int, str] = {}
    for name in available:
        match = _AU_COLUMN.fullmatch(plain(name))
        if match and bool(match[1]) == gold and int(match[2]) in AUS:
            found.setdefault(int(match[2]), name)
    return found
