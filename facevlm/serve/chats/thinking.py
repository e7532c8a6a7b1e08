"""Thinking told apart from the answer while it is written: `reasoning_content` and `content`.

Nothing is lost: "<think>" + reasoning + "</think>" + content is what the model wrote, but for what precedes "<think>".
`facevlm.answer` reads the answer; this only parts the text.
"""

from dataclasses import dataclass
from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass
class Splitter:
    """Takes the text of one answer in any pieces, and gives it out as thinking and as answer.

    The first <think> alone counts. One that is never closed makes all that follows thinking.
    """

    _state: Literal["before", "inside", "after"] = "before"
    _held: str = ""
    _opened: bool = False

    def feed(self, text: str, last: bool = False) -> tuple[str, str]:
        """(thinking, answer) that are certain by now; a beginning of a tag is held back until the next piece.

        Args:
            last: nothing follows: give out what was held back.
        """
        text, self._held = self._held + text, ""
        thought, said = "", ""
        if self._state == "before":
            before, tag, text = self._cut(text, _OPEN, last)
            said += before
            if tag:
                self._state, self._opened = "inside", True
        if self._state == "inside":
            inside, tag, text = self._cut(text, _CLOSE, last)
            thought += inside
            if tag:
                self._state = "after"
        if self._state == "after":
            said += text
        return thought, said

    @property
    def thought(self) -> bool:
        """Whether there was a <think>."""
        return self._opened

    def _cut(self, text: str, tag: str, last: bool) -> tuple[str, bool, str]:
        before, found, rest = text.partition(tag)
        if found:
            return before, True, rest
        if not last:
            for length in range(min(len(tag) - 1, len(text)), 0, -1):
                if text.endswith(tag[:length]):
                    self._held = text[-length:]
                    return text[:-length], False, ""
        return text, False, ""


def split(text: str) -> tuple[str | None, str]:
    """(thinking or None, answer) of a whole text."""
    splitter = Splitter()
    thought, said = splitter.feed(text, last=True)
    return (thought if splitter.thought else None), said
