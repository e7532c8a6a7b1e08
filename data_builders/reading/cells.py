"""Cells of text -> numbers, labels, AU intensities, boxes, landmarks; and the columns a pattern ("AU{n}_r") names.

`None` is "not labelled" throughout; a cell that cannot be read raises `BadRow`, and is never guessed at.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast, get_args

from facevlm.config import ConfigError
from facevlm.record import Split
from facevlm.vocab import AUS, INTENSITY_LETTERS, LABEL_SETS, parse_au

Code = str | int | float
"""What a data set writes for "not labelled": 9, -1, 999, "uncertain" …"""
BoxForm = Literal["ltrb", "xywh"]


class BadRow(Exception):
    """A row with a cell that cannot be read; the two arguments are the reason and the detail of its Drop."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def is_missing(text: str, codes: Collection[Code] = ()) -> bool:
    """Whether a cell says "not labelled": empty, or one of the codes as text or as a number (9 is also "9.0")."""
    if not text or not codes:
        return not text
    if text in map(str, codes):
        return True
    try:
        return float(text) in {float(code) for code in codes if not isinstance(code, str)}
    except ValueError:
        return False


def number(text: str, codes: Collection[Code] = (), reason: str = "bad number") -> float | None:
    """A finite number, or None where nothing is labelled ("nan" says so too).

    Raises:
        BadRow: the cell is not a number.
    """
    if is_missing(text, codes) or text.lower() == "nan":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRow(reason, f"{text!r} is not a number")
    return value


def intensity(au: int, text: str, codes: Collection[Code] = ()) -> float | None:
    """A FACS intensity 0-5 from a number or from a letter A-E.

    Raises:
        BadRow: neither, or outside 0-5.
    """
    if len(text) == 1 and text in INTENSITY_LETTERS and not is_missing(text, codes):
        return float(INTENSITY_LETTERS.index(text) + 1)
    value = number(text, codes, "bad AU value")
    if value is not None and not 0 <= value <= 5:
        raise BadRow("bad AU value", f"AU{au} is {text}, not within 0-5; au_missing lists what means not labelled")
    return value


def emotion(word: str, label_set: str | None, words: Mapping[str, str], codes: Collection[Code] = ()) -> str | None:
    """Our label for a cell; `words` maps the data set's words to ours or to ids of the label set.

    Raises:
        BadRow: the label set does not know the word.
    """
    if is_missing(word, codes) or label_set is None:
        return None
    try:
        return LABEL_SETS[label_set].label(words.get(word, word))
    except ValueError as e:
        raise BadRow("unknown label", f"{e}; map it with emotion_map, or list it in emotion_missing") from e


def split(word: str, words: Mapping[str, Split]) -> Split:
    """The split a cell names, "" where it is empty.

    Raises:
        BadRow: neither a split nor in `words`.
    """
    for known in get_args(Split):
        if words.get(word, word) == known:
            return cast(Split, known)
    raise BadRow("unknown split", f"{word!r} is none of train, val, test; map it with split_map")


def box(texts: Sequence[str], form: BoxForm = "ltrb") -> tuple[float, float, float, float] | None:
    """A face box left, top, right, bottom in pixels from four cells; None if all are empty.

    Raises:
        BadRow: not four numbers, or a box without an inside.
    """
    if not any(texts):
        return None
    values = [number(text, (), "bad face box") for text in texts]
    if len(values) != 4 or None in values:
        raise BadRow("bad face box", f"{list(texts)} are not four numbers")
    a, b, c, d = (float(v) for v in values if v is not None)
    right, bottom = (a + c, b + d) if form == "xywh" else (c, d)
    if not (a < right and b < bottom):
        raise BadRow("bad face box", f"{list(texts)} as {form} is not left < right, top < bottom")
    return a, b, right, bottom


def landmarks(texts: Sequence[tuple[str, str]]) -> tuple[tuple[float, float], ...] | None:
    """Points in pixels from pairs of cells; None if all are empty.

    Raises:
        BadRow: a point that is not two numbers.
    """
    if not any(x or y for x, y in texts):
        return None
    points = [(number(x, (), "bad landmarks"), number(y, (), "bad landmarks")) for x, y in texts]
    whole = tuple((x, y) for x, y in points if x is not None and y is not None)
    if len(whole) < len(points):
        raise BadRow("bad landmarks", f"{len(points) - len(whole)} of {len(points)} points are empty")
    return whole


def au_columns(spec: Mapping[str | int, str] | str | None, found: Sequence[str]) -> dict[int, str]:
    """AU number -> column, from a mapping or from a pattern such as "AU{n}_r" (zeros may stand before the number).

    Raises:
        ConfigError: an unknown AU, or a pattern that fits no column.
    """
    if spec is None:
        return {}
    try:
        if not isinstance(spec, str):
            return {parse_au(key): column for key, column in spec.items()}
        before, mark, after = spec.partition("{n}")
        if not mark:
            raise ConfigError(f"columns.aus: the pattern {spec!r} has no {{n}} where the number stands")
        fits = re.compile(rf"{re.escape(before)}0*(\d+){re.escape(after)}")
        matched = {parse_au(m[1]): name for name in found if (m := fits.fullmatch(name))}
    except ConfigError:
        raise
    except ValueError as e:
        raise ConfigError(f"columns.aus: {e}") from e
    if not matched:
        raise ConfigError(f"columns.aus: the pattern {spec!r} fits no column; there are {', '.join(found)}")
    return {n: matched[n] for n in AUS if n in matched}


def point_columns(patterns: Sequence[str] | None, found: Sequence[str]) -> list[tuple[str, str]]:
    """The 68 pairs of columns of two patterns such as "x_{i}", "y_{i}", counted from 0 if there is a 0, else from 1.

    Raises:
        ConfigError: not two patterns with {i}.
    """
    if patterns is None:
        return []
    if len(patterns) != 2 or not all("{i}" in p for p in patterns):
        raise ConfigError(f"columns.landmarks: {list(patterns)} is not a pair of patterns such as [x_{{i}}, y_{{i}}]")
    x, y = patterns
    first = 0 if x.replace("{i}", "0") in found else 1
    return [(x.replace("{i}", str(i)), y.replace("{i}", str(i))) for i in range(first, first + 68)]
