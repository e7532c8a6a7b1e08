"""What FER2013 and FER+ share: the splits of the csv, and its rows' pixels as picture files."""

from pathlib import Path

from data_builders.reading import extract
from facevlm.record import Split

SIDE = 48
USAGES: dict[str, Split] = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def picture(into: Path, usage: str, number: int, pixels: str) -> str:
    """Write the picture of a row of the csv, counted from 0, and return its path below `into`.

    Raises:
        BadRow: the pixels are not 2,304 grey values.
    """
    media = f"images/{usage}/{number:05d}.png"
    extract.grey(into, media, pixels, SIDE)
    return media
