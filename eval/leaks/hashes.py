"""Near-identical pictures of two sets, by the perceptual hashes that builds leave in `hashes.parquet`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HASHES = "hashes.parquet"
"""Id, split and 256-bit hash of each record of a set (docs/building.md)."""

SAME = 12
"""Bits of 256 within which builds take two pictures for one (`near_duplicates` of data_builders.build)."""

MOST = 15
"""The most bits that `nearest` can look for: hashes that differ in 15 agree in one of 16 words."""

_BLOCK = 2**20
"""Pairs compared at a time."""


class Nearest(NamedTuple):
    """For each hash of one set the closest of another, both (n,)."""

    place: NDArray[np.int64]
    """Row of the other set; -1 = none is near."""
    bits: NDArray[np.int64]


def nearest(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], distance: int = SAME) -> Nearest:
    """The closest of `theirs` to each of `ours`, if it differs in at most `distance` of 256 bits.

    Exact: cut into 16 words, two hashes that differ in at most 15 bits agree in one word (Norouzi, Punjani & Fleet
    2012, "Fast Search in Hamming Space with Multi-Index Hashing"), so that only those are compared.

    Args:
        ours, theirs: (n, 32) and (m, 32) bytes.

    Raises:
        ValueError: a distance outside 0-15, or hashes of another length.
    """
    if not 0 <= distance <= MOST:
        raise ValueError(f"distance={distance} given; hashes are compared within 0 to {MOST} bits")
    if ours.shape[1:] != (32,) or theirs.shape[1:] != (32,):
        raise ValueError(f"hashes of shapes {ours.shape} and {theirs.shape} given; each is 32 bytes")
    place, bits = np.full(len(ours), -1, np.int64), np.full(len(ours), distance + 1, np.int64)
    # Another order of bytes: the lowest frequencies, which all faces share, would fill the first words.
    order = np.arange(32) * 13 % 32
    a, b = (np.ascontiguousarray(codes[:, order]) for codes in (ours, theirs))
    for word in range(16):
        mine, other = a.view(np.uint16)[:, word], b.view(np.uint16)[:, word]
        rank = np.argsort(other, kind="stable")
        low, high = (np.searchsorted(other[rank], mine, side) for side in ("left", "right"))
        for start, stop in _blocks(high - low):
            _compare(a, b, rank, low[start:stop], high[start:stop], start, place, bits)
    return Nearest(place, bits)


def _blocks(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of rows with about `_BLOCK` pairs each."""
    part = np.cumsum(counts) // _BLOCK
    edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(counts)]
    return list(zip(edges, edges[1:], strict=False))


def _compare(a: NDArray[np.uint8], b: NDArray[np.uint8], rank: NDArray[np.int64], low: NDArray[np.int64],
             high: NDArray[np.int64], start: int, place: NDArray[np.int64],
             bits: NDArray[np.int64]) -> None:  # fmt: skip
    """Compare rows start… of `a` with the rows of `b` that share a word, and keep the closest, in place."""
    counts = high - low
    if not counts.sum():
        return
    row = np.repeat(np.arange(start, start + len(counts)), counts)
    column = rank[np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - low, counts)]
    apart = np.bitwise_count(a.view(np.uint64)[row] ^ b.view(np.uint64)[column]).sum(1).astype(np.int64)
    best = np.lexsort((column, apart, row))
    first = best[np.flatnonzero(np.diff(row[best], prepend=-1))]
    closer = first[apart[first] < bits[row[first]]]
    place[row[closer]], bits[row[closer]] = column[closer], apart[closer]
