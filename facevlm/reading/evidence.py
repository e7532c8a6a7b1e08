"""Which sentence of the reasoning speaks of an action unit."""

import re

from facevlm.prose import claimed_aus

_END = re.compile(r"(?<=[.!?;])\s+|\n+")


def said_about(thinking: str | None) -> dict[int, str]:
    """AU -> the first sentence that claims it, by number or FACS name; one that denies it says nothing for it.

    A heuristic for plain English, as `facevlm.prose` is.
    """
    found: dict[int, str] = {}
    for sentence in _END.split((thinking or "").strip()):
        for n in sorted(claimed_aus(sentence)):
            found.setdefault(n, sentence.strip())
    return found
