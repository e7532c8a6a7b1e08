"""FACS codes as coders write them: "4+L10", "R14A or 17A", "A1B+A2C", "1+4+L12+25", "AU6 + AU12B?".

A code is an AU number, before it the side (L left, R right, U one side, A stronger on one side, T top, B bottom) or M
(a movement), after it the intensity A-E. "+", "," and ";" stand between codes. A code with "?" and the alternatives
around "or" are in doubt: they are neither present nor absent. "or" binds the two codes beside it, so that 6 is certain
in "6+R14A or 17A".
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from data_builders.reading.cells import BadRow
from facevlm.vocab import AUS, INTENSITY_LETTERS

_CODE = re.compile(
    r"(?:A[UD])?[ _]?(?P<doubt>\?)?(?P<side>[LRUATBM])?[ _]?(?:A[UD])?[ _]?"
    r"0*(?P<number>\d{1,2})(?:\.0)? ?(?P<level>[A-E])? ?(?P<doubt2>\?)?"
)
_NOTHING = frozenset({"NULL", "NONE", "NO AU", "0"})
_UNKNOWN = frozenset({"", "?", "/", "-", "N/A", "NA", "NAN"})
# In the FACS manual, but no AU of ours: sniff, lids (the old 41, 42, 44), speech, swallow, chewing, shoulder shrug,
# head and eye movements, what hides the face.
_OTHER_CODES = frozenset({40, 41, 42, 44, 50, 59, 60, 68, 69, 70, 71, 72, 73, 74, *range(80, 86), 91, 92, 97, 98})


@dataclass(frozen=True, slots=True)
class Codes:
    """What a text of FACS codes says."""

    aus: Mapping[int, float | None]
    """Intensity 1-5 of each AU that is present for certain; None = present, not scored."""
    sides: Mapping[int, str]
    """"L", "R", "LR" … of the AUs that were coded with a side."""
    doubtful: frozenset[int]
    """AUs that may be present."""
    complete: bool
    """False where the text itself says that it does not know: "?", "/", an empty cell."""
    others: frozenset[int] = frozenset()
    """FACS codes that are no AU in `vocab.AUS`, such as 50 (speech)."""


def parse(text: str) -> Codes:
    """All that a text of FACS codes says.

    Raises:
        BadRow: a code that is not written as one, or a number that FACS does not know.
    """
    aus: dict[int, float | None] = {}
    sides: dict[int, str] = {}
    doubtful: set[int] = set()
    others: set[int] = set()
    whole = " ".join(unicodedata.normalize("NFKC", text).upper().split())
    if whole in _UNKNOWN or whole in _NOTHING:
        return Codes({}, {}, frozenset(), whole in _NOTHING)
    complete = True
    for term in re.split(r"[+,;&]", whole):
        if not (term := term.strip()):
            raise BadRow("bad AU code", f"{text!r} has nothing between two codes")
        if term == "?":
            complete = False
            continue
        found = [_code(choice.strip(), text) for choice in re.split(r"\bOR\b", term)]
        numbers = {number for number, *_ in found}
        for number, side, level, doubt in found:
            if number not in AUS:
                others.add(number)
            elif doubt or len(numbers) > 1:
                doubtful.add(number)
            else:
                # "12A or 12B": there for certain, its intensity is not. Both sides coded: the stronger one.
                aus[number] = _stronger(aus.get(number), level if len(found) == 1 else None)
                if side and side != "M":
                    sides[number] = "".join(sorted({*sides.get(number, ""), side}))
    return Codes(aus, sides, frozenset(doubtful - aus.keys()), complete, frozenset(others))


def parse_codes(text: str) -> dict[int, float | None]:
    """The AUs that a text says are present for certain: intensity 1-5, or None where it is not scored.

    Raises:
        BadRow: as `parse`.
    """
    return dict(parse(text).aus)


def levels(codes: Mapping[int, float | None]) -> dict[int, float]:
    """Present AUs as `FaceRecord.aus`: intensities where all are scored, else the occurrence code 1 for each; the two
    are never mixed in one record, for a 1 would then read as "trace".
    """
    scored = all(level is not None for level in codes.values())
    return {number: level if scored and level is not None else 1.0 for number, level in sorted(codes.items())}


def _code(code: str, text: str) -> tuple[int, str, float | None, bool]:
    match = _CODE.fullmatch(code)
    if match is None:
        raise BadRow("bad AU code", f"{code!r} in {text!r} is not side, number, intensity")
    number = int(match["number"])
    if number not in AUS and number not in _OTHER_CODES:
        raise BadRow("bad AU code", f"{number} in {text!r} is no action unit")
    level = float(INTENSITY_LETTERS.index(match["level"]) + 1) if match["level"] else None
    return number, match["side"] or "", level, bool(match["doubt"] or match["doubt2"])


def _stronger(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)
