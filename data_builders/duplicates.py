"""Near-identical pictures, found by their perceptual hashes; and what becomes of the records that show them.

A model must not be tested on what it was trained on: a training record whose picture is also in a test set, of this
data set or another, is dropped. Within one split copies are dropped too, and copies that two annotators named
differently are dropped both. Pictures of one person in one split are left alone: neighbouring frames look alike by
nature. Test records stay as they are, for a test set with pieces left out is another test set; they are counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facevlm.config import ConfigError

Hashes = NDArray[np.uint8]
"""One row of 32 bytes a picture."""

HASHES = "hashes.parquet"
"""The file of a set that holds id, split and hash of each record: what other sets are compared with."""

_RANK = {"test": 0, "val": 1, "train": 3}
_FOREIGN = 2
"""Rank of another set's picture: it drops training records, and nothing else."""


def near(hashes: Hashes, distance: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]]:
    """All pairs of rows that differ in at most `distance` of 256 bits, as arrays of first row < second row and bits.

    Exact: cut into distance + 1 bands, two such hashes agree in one band at least (Norouzi, Punjani & Fleet 2012,
    "Fast Search in Hamming Space with Multi-Index Hashing"). Each pair comes once.
    """
    bands = distance + 1
    words = np.ascontiguousarray(hashes).view(np.uint64)
    edges = [round(256 * i / bands) for i in range(bands + 1)]
    earlier: list[NDArray[np.uint64]] = []
    for low, high in zip(edges, edges[1:], strict=False):
        key = _band(words, low, high)
        for first, second in _equal(key):
            bits = np.bitwise_count(words[first] ^ words[second]).sum(1).astype(np.int16)
            ok = bits <= distance
            for other in earlier:  # found by an earlier band already
                ok &= other[first] != other[second]
            if ok.any():
                a, b = first[ok], second[ok]
                yield np.minimum(a, b), np.maximum(a, b), bits[ok]
        earlier.append(key)


def _band(words: NDArray[np.uint64], low: int, high: int) -> NDArray[np.uint64]:
    """One number for bits low..high-1 of each row: equal bits give equal numbers."""
    parts = [np.zeros(len(words), np.uint64)]
    for word in range(low // 64, (high - 1) // 64 + 1):
        start, end = max(low - 64 * word, 0), min(high - 64 * word, 64)
        mask = np.uint64(((1 << (end - start)) - 1) << start)
        # Odd multipliers, so that the sum of two words' parts is as good as both. A chance match costs a comparison.
        parts.append((words[:, word] & mask) * np.uint64(5308871522 * (word + 1) + 1))
    return np.sum(parts, axis=0, dtype=np.uint64)


def _equal(key: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows with an equal key: neighbours in sorted order, then those two apart, and so on."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    left = np.arange(len(key) - 1)
    step = 1
    while len(left):
        left = left[ordered[left] == ordered[left + step]]
        if len(left):
            yield order[left], order[left + step]
        step += 1
        left = left[left + step < len(key)]


@dataclass
class Rows:
    """What of each record with a hash is compared, as parallel lists."""

    index: list[int] = field(default_factory=list)
    """Its place among all records."""
    id: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    subject: list[str | None] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    label: list[str | None] = field(default_factory=list)
    hash: list[bytes] = field(default_factory=list)


@dataclass
class Verdicts:
    """What near-identical pictures lead to."""

    dropped: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Place of a record -> reason and detail of its Drop."""
    counts: Counter[str] = field(default_factory=Counter)
    """Pairs by what they are, those that nothing is done about too."""


def others(folders: Sequence[str]) -> tuple[list[str], Hashes]:
    """Names and hashes of the test and val pictures of other sets.

    Raises:
        ConfigError: a folder is no set, or its pictures were not hashed.
    """
    names: list[str] = []
    found: list[bytes] = []
    for folder in folders:
        path = Path(folder).expanduser() / HASHES
        if not path.is_file():
            raise ConfigError(f"against: {folder} has no {HASHES}; build that set first, with check_images on")
        table = pq.read_table(path).to_pydict()
        for name, split, code in zip(table["id"], table["split"], table["hash"], strict=True):
            if split in ("test", "val"):
                names.append(f"{split} record {name} of {folder}")
                found.append(code)
    return names, _array(found)


def _array(codes: Sequence[bytes]) -> Hashes:
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)


def settle(rows: Rows, distance: int, against: Sequence[str] = ()) -> Verdicts:
    """Decide about every record with a near-identical picture.

    Args:
        distance: bits (of 256) within which two pictures are the same.
        against: folders of other sets, whose test and val pictures must not be trained on.

    Raises:
        ConfigError: see `others`.
    """
    names, foreign = others(against)
    verdicts = Verdicts()
    codes = np.concatenate([_array(rows.hash), foreign])
    # Thousands of copies of one picture (black frames) are one hash here, not millions of pairs.
    unique, group = np.unique(codes, axis=0, return_inverse=True)
    rank = np.array([_RANK[split] for split in rows.split] + [_FOREIGN] * len(names))
    # In each group the test picture comes first: every other one is held against it.
    order = np.lexsort((np.arange(len(codes)), rank, group.ravel()))
    starts = np.searchsorted(group.ravel()[order], np.arange(len(unique) + 1))
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for other in order[start + 1 : end].tolist():
            _judge(int(order[start]), other, 0, rows, names, verdicts)
    for first, second, bits in near(unique, distance):
        for a, b, n in zip(first.tolist(), second.tolist(), bits.tolist(), strict=True):
            one, two = order[starts[a] : starts[a + 1]].tolist(), order[starts[b] : starts[b + 1]].tolist()
            for i, j in [(one[0], j) for j in two] + [(i, two[0]) for i in one[1:]]:
                _judge(i, j, n, rows, names, verdicts)
    return verdicts


def _judge(a: int, b: int, bits: int, rows: Rows, names: Sequence[str], verdicts: Verdicts) -> None:
    own = len(rows.hash)
    a, b = sorted((a, b))
    if a >= own:
        return  # both in other sets
    if b >= own:
        if rows.split[a] == "train":
            _drop(a, "near-duplicate of another set's test", f"{bits} bits from {names[b - own]}", rows, verdicts)
        return
    if rows.split[a] == rows.split[b]:
        _within(a, b, bits, rows, verdicts)
        return
    kept, gone = sorted((a, b), key=lambda i: _RANK[rows.split[i]])
    _drop(gone, f"near-duplicate of {rows.split[kept]}", f"{bits} bits from {rows.id[kept]}", rows, verdicts)


def _within(a: int, b: int, bits: int, rows: Rows, verdicts: Verdicts) -> None:
    split = rows.split[a]
    same_person = rows.subject[a] is not None and rows.subject[a] == rows.subject[b]
    if same_person or rows.media[a] == rows.media[b]:  # several faces of one picture
        return
    conflict = rows.label[a] != rows.label[b] and None not in (rows.label[a], rows.label[b])
    kind = "label conflict" if conflict else "near-duplicate"
    if split != "train":
        verdicts.counts[f"{kind} within {split}, kept"] += 1
        return
    if not conflict and rows.index[a] in verdicts.dropped:
        return  # what b is a copy of is gone already
    detail = f"{bits} bits from {rows.id[a]}"
    if conflict:
        _drop(a, kind, f"{rows.label[a]} here, {rows.label[b]} in {rows.id[b]}, {bits} bits away", rows, verdicts)
        detail = f"{rows.label[b]} here, {rows.label[a]} in {rows.id[a]}, {bits} bits away"
    _drop(b, kind, detail, rows, verdicts)


def _drop(i: int, reason: str, detail: str, rows: Rows, verdicts: Verdicts) -> None:
    verdicts.counts[reason] += 1
    verdicts.dropped.setdefault(rows.index[i], (reason, detail))
