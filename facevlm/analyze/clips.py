"""The frames of a video at regular times, decoded in one pass."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from facevlm.analyze.items import Item, Seen, broken
from facevlm.images import ImageError
from facevlm.video import Frames


def items(path: Path, every: float) -> Iterator[Item]:
    """A video's frames at 0, `every`, 2 x `every` … seconds; one broken item if it cannot be read."""
    name = str(path)
    try:
        frames = Frames(path)
    except ImageError as e:
        yield broken(name, e.reason, str(e).partition(": ")[2], name)
        return
    if frames.seconds is None:
        yield broken(name, "no times", f"{path} does not say when its frames are shown", name)
        return
    with frames:
        i = 0
        while (second := i * every) < frames.seconds:
            # Rounded, for 3 x 0.1 is 0.30000000000000004: a name is to be typed again.
            second = round(second, 6)
            yield Item(f"{name}#t={second:g}", partial(_seen, frames, second), name, second)
            i += 1


def _seen(frames: Frames, second: float) -> Seen:
    return Seen(frames.at(second))
