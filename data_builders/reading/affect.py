"""What all releases of AffectNet share: expression ids, codes for "not labelled", 68 landmarks."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow

Classes = Literal[7, 8]
LICENCE = "AffectNet agreement: research only, no passing on"


def labelled(expression: str, valence: str, arousal: str,
             classes: Classes) -> tuple[str | None, float | None, float | None]:  # fmt: skip
    """Emotion, valence and arousal of a face, each None where it is not labelled.

    Raises:
        BadRow: uncertain, no face, none of the three is labelled, or not an id, or not a number.
    """
    code = expression.partition(".")[0]
    if code in ("9", "10"):
        raise BadRow("uncertain" if code == "9" else "no face", f"expression is {expression}")
    emotion = cells.emotion(expression, f"affectnet{classes}", {})
    values = [cells.number(text, (-2,), f"bad {name}") for name, text in (("valence", valence), ("arousal", arousal))]
    if emotion is None and values == [None, None]:
        raise BadRow("unlabelled", f"expression is {expression or 'empty'}, without valence and arousal")
    return emotion, values[0], values[1]


def points(numbers: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    """68 points from 136 numbers, x and y by turns.

    Raises:
        BadRow: another count, or something that is not a finite number.
    """
    try:
        values = [float(n) for n in numbers]
    except (TypeError, ValueError) as e:
        raise BadRow("bad landmarks", str(e)) from e
    if len(values) != 136 or not all(map(math.isfinite, values)):
        raise BadRow("bad landmarks", f"{len(values)} numbers, 136 finite ones are wanted")
    return tuple(zip(values[::2], values[1::2], strict=True))
