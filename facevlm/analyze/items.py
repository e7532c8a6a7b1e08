"""One picture of the inputs: its name at once, its pixels when they are wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from PIL.Image import Image

from facevlm.images import ImageError


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was fetched, not yet decoded; a frame of a video comes decoded."""

    picture: Path | bytes | Image
    given: Mapping[str, Any] = field(default_factory=dict)
    """What its table says beside it, of the columns to carry along."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of the inputs. Which pictures are in a part is known by their names alone."""

    name: str
    """A path; "faces.zip#b/a.jpg", "faces.parquet#row=12", "clip.mp4#t=1.5" (seconds)."""
    read: Callable[[], Seen]
    """Fetches it; may be called once, before the next item is drawn, or not at all. Raises ImageError."""
    video: str | None = None
    second: float | None = None
    """Where it is a frame: of what, and when it is shown."""


def broken(name: str, reason: str, detail: str, video: str | None = None) -> Item:
    """An item that cannot be fetched; its row will say so."""

    def read() -> NoReturn:
        raise ImageError(reason, detail)

    return Item(name, read, video)
