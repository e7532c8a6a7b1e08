"""Faces that differ in one trait alone: does the answer move when only who is shown changes?

    one drawn face in skin tones 1, 4 and 7, answered "fear", "fear", "anger": the answer moves

Counterfactual fairness (Kusner et al. 2017, NeurIPS, definition 5) put to the test with pictures. Records say which
faces belong together (`attributes.pair`) and what they differ in (`attributes.subgroup`): configs/data/
counterfactual.yaml draws such faces, docs/bias.md says what else makes a group.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from eval.frame.benchmark import face_of
from eval.frame.predictions import Key, Prediction
from eval.frame.statistic import number
from facevlm.metrics import bootstrap_all, mean_of
from facevlm.record import FaceRecord

PAIR, SUBGROUP = "pair", "subgroup"
"""The attributes that say which faces belong together, and what they differ in."""


class Member(NamedTuple):
    """One face of a group with the answer about it."""

    value: str
    """What it is that it differs in, such as the skin tone "4"."""
    row: Prediction
    record: FaceRecord


Groups = list[list[Member]]


def groups(rows: Sequence[Prediction], records: Mapping[Key, FaceRecord]) -> tuple[Groups, dict[str, int]]:
    """The groups that can be compared; how many others there are, by reason."""
    found: dict[tuple[str, ...], list[Member]] = {}
    left: Counter[str] = Counter()
    for row in rows:
        record = records[row.source, face_of(row.id)]
        pair, value = record.attributes.get(PAIR), record.attributes.get(SUBGROUP)
        if not pair or not value:
            left["face in no group"] += 1
        elif row.error is not None:
            left["picture that cannot be read"] += 1
        else:
            # Several questions about one face are groups of their own.
            question = row.id.removeprefix(face_of(row.id))
            found.setdefault((row.source, pair, question), []).append(Member(value, row, record))
    kept = []
    for members in found.values():
        if len({member.value for member in members}) < 2:
            left["group of one value"] += 1
        elif not _same_truth(members):
            left["group with different labels"] += 1
        else:
            kept.append(members)
    return kept, dict(left)


def _common(members: Sequence[Member]) -> frozenset[int]:
    """The AUs that are labelled in all."""
    return frozenset.intersection(*(frozenset(member.row.labelled_aus) for member in members))


def _same_truth(members: Sequence[Member]) -> bool:
    common = _common(members)
    return len({(repr(m.row.gold), common & frozenset(m.row.gold_aus)) for m in members}) == 1


def changed(members: Groups) -> str:
    """What is changed within the groups: the attributes that differ in any, in words."""
    names = {name for group in members for name in group[0].record.attributes
             if name not in (PAIR, SUBGROUP) and len({m.record.attributes.get(name) for m in group}) > 1}  # fmt: skip
    return ", ".join(sorted(names)) or "what no attribute but `subgroup` names"


def _answer(member: Member) -> object:
    """What <answer> says, to be compared; None = not readable."""
    value = member.row.value
    return frozenset(value) if isinstance(value, tuple) and member.row.kind == "words" else repr(value)


def _moved(members: Sequence[Member]) -> float:
    """1 if the answers are not all the same; nan if none can be read: nothing was said that could move."""
    if all(member.row.value is None for member in members):
        return float("nan")
    return float(len({_answer(member) for member in members}) > 1)


def _units(members: Sequence[Member]) -> list[frozenset[int] | None]:
    """The AU lists over what is labelled in all; None = not readable, an answer of its own."""
    common = _common(members)
    return [None if m.row.named_aus is None else m.row.named_aus & common for m in members]


def _units_moved(members: Sequence[Member]) -> float:
    """As `_moved`, for the AU lists."""
    lists = _units(members)
    return float("nan") if set(lists) == {None} else float(len(set(lists)) > 1)


def _apart(members: Sequence[Member]) -> float:
    """The number of AUs that are named for some members and not for others, an unreadable list naming none."""
    if set(_units(members)) == {None}:
        return float("nan")
    lists = [units or frozenset() for units in _units(members)]
    return float(len(frozenset.union(*lists) - frozenset.intersection(*lists)))


def _between(members: Sequence[Member], a: str, b: str) -> list[Member]:
    """The members of two values; none if there is not one of each."""
    some = [member for member in members if member.value in (a, b)]
    return some if len({member.value for member in some}) == 2 else []


def _people(found: Groups) -> list[str | None]:
    """Whose faces a group shows: groups of one person are drawn together."""
    return [None if (who := group[0].row.subject) is None else f"{group[0].row.source}/{who}" for group in found]


def _columns(found: Groups) -> dict[str, list[float]]:
    """(groups,) of each measure that applies; nan = it does not apply to that group."""
    judged = [group for group in found if "answer" in group[0].row.parts]
    listed = [group for group in found if "au" in group[0].row.parts and _common(group)]
    columns: dict[str, list[float]] = {}
    if judged:
        columns["answer"] = [_moved(g) if "answer" in g[0].row.parts else np.nan for g in found]
        values = sorted({member.value for group in judged for member in group})
        for a, b in combinations(values, 2):
            some = [_between(g, a, b) if "answer" in g[0].row.parts else [] for g in found]
            if any(some):
                columns[f"answer, {a} against {b}"] = [_moved(two) if two else np.nan for two in some]
    if listed:
        asked = [bool("au" in g[0].row.parts and _common(g)) for g in found]
        columns["AU list"] = [_units_moved(g) if yes else np.nan for g, yes in zip(found, asked, strict=True)]
        columns["AUs that differ"] = [_apart(g) if yes else np.nan for g, yes in zip(found, asked, strict=True)]
    return columns


def probe(rows: Sequence[Prediction], records: Mapping[Key, FaceRecord], repeats: int = 2000,
          seed: int = 0) -> dict[str, Any] | None:  # fmt: skip
    """How often the answer moves within groups, JSON-able; None where no record is of a group.

    Returns:
        `moved`: for <answer>, for each two values, and for the AU list the share of groups whose answers are not all
        the same, with a 95 % interval for which whole groups are drawn, all of a person together; "AUs that differ" is
        a mean number of AUs. An answer that cannot be read is an answer of its own; groups of which no answer can be
        read are left out and counted (`unreadable`), and a measure over no group is None.
    """
    found, left = groups(rows, records)
    if not found and set(left) <= {"face in no group"}:
        return None
    mute = sum(all(m.row.value is None and m.row.named_aus is None for m in group) for group in found)
    result: dict[str, Any] = {"changed": changed(found) if found else None, "groups": len(found),
                              "faces": sum(map(len, found)), "unreadable": mute, "left_out": left,
                              "moved": []}  # fmt: skip
    columns = _columns(found) if found else {}
    statistics = {name: mean_of(column) for name, column in columns.items()}
    people = _people(found)
    ends = bootstrap_all(statistics, len(found), people, repeats, seed) if statistics and repeats else {}
    for name, statistic in statistics.items():
        # bootstrap_all has NaN ends where no group can be drawn that says anything.
        low, high = (number(x) for x in ends[name][1:]) if name in ends else (None, None)
        interval = None if low is None or high is None else [low, high]
        n = int((~np.isnan(columns[name])).sum())
        result["moved"].append({"what": name, "n": n, "value": number(statistic()), "ci95": interval})
    return result
