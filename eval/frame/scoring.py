"""Predictions -> numbers with intervals, by a protocol. Which rows a kind of score looks at is said in `eval.scores`.

A face whose picture could not be read is left out of every metric (that depends on the record, never on the model) and
counted; so is one that an endpoint gave no answer to, with a caveat. An answer that could not be read is wrong. What
has no value is None, and `undefined` says why.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.frame.benchmark import Protocol, find_aus
from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Scorer, Scores, Statistic, number
from eval.scores import SCORES
from facevlm.folds import fold_of
from facevlm.metrics import bootstrap_all

UNANSWERED = "no answer: "
"""How the `error` of a face begins whose picture was read and asked about, but got no answer from an endpoint."""

FEW = 30
"""Fewer faces than this are said to be few."""


def subjects(rows: Sequence[Prediction]) -> list[str | None]:
    """Who each face is of, told apart over sources; None = not known."""
    return [None if row.subject is None else f"{row.source}/{row.subject}" for row in rows]


def kinds(rows: Sequence[Prediction], protocol: Protocol) -> dict[str, Scorer]:
    """What is scored: what the protocol names, and confidence where probabilities are known."""
    known = any(row.probabilities is not None for row in rows)
    return {name: SCORES[name] for name in (*protocol.scores, *(["confidence"] if known else []))}


def frame(rows: Sequence[Prediction], protocol: Protocol) -> Frame:
    """The classes and AUs of the protocol; without an AU protocol, those that any row has labels for."""
    aus = find_aus(protocol.aus)
    return Frame(protocol.labels, aus.aus if aus else tuple(sorted({n for row in rows for n in row.labelled_aus})))


def _scored(scorer: Scorer, rows: Sequence[Prediction], within: Frame) -> tuple[list[Prediction], Scores]:
    faces = [row for row in rows if row.error is None and scorer.applies(row)]
    if not faces:
        return [], Scores({}, undefined=dict.fromkeys(scorer.metrics, scorer.lacking))
    return faces, scorer.score(faces, within)


def statistics(rows: Sequence[Prediction], protocol: Protocol) -> dict[str, Statistic]:
    """The metrics that apply to some of the rows, by name."""
    found: dict[str, Statistic] = {}
    for scorer in kinds(rows, protocol).values():
        faces, scores = _scored(scorer, rows, frame(rows, protocol))
        found |= {name: Statistic(function, subjects(faces)) for name, function in scores.statistics.items()}
    return found


def values(rows: Sequence[Prediction], protocol: Protocol) -> dict[str, float | None]:
    """Each metric over all rows, without intervals."""
    return {name: number(function(np.arange(len(clusters))))
            for name, (function, clusters) in statistics(rows, protocol).items()}  # fmt: skip


def _unread(row: Prediction) -> bool:
    """Whether a part that is scored could not be read, which other faults of form need not prevent."""
    return (row.judged and row.value is None) or ("au" in row.parts and bool(row.labelled_aus) and row.aus is None)


def _caveats(scored: Sequence[Prediction], unread: int) -> list[str]:
    """What the rows themselves say against trusting a number."""
    found = []
    if not scored:
        return ["no face could be scored"]
    if unread == len(scored):
        found.append("no answer could be read: every one counts as wrong, which says nothing about faces")
    elif unread > len(scored) / 10:
        found.append(f"{unread} of {len(scored)} answers could not be read and count as wrong")
    elif (astray := sum(bool(row.faults) for row in scored)) > len(scored) / 10:
        found.append(f"{astray} of {len(scored)} answers miss the form, though what is scored could be read")
    if all(not row.text.strip() for row in scored):
        found.append("every answer is empty")
    if len(scored) < FEW:
        found.append(f"only {len(scored)} {'face' if len(scored) == 1 else 'faces'}")
    known = {x for x in subjects(scored) if x is not None}
    if len(known) == 1 and all(row.subject is not None for row in scored):
        found.append("all faces are of one person: there is no interval")
    return found


def _unanswered(rows: Sequence[Prediction]) -> tuple[int, list[str]]:
    """How many faces got no answer, and what is to be said about it."""
    faults = Counter(row.error.removeprefix(UNANSWERED) for row in rows
                     if row.error is not None and row.error.startswith(UNANSWERED))  # fmt: skip
    if not faults:
        return 0, []
    n, (fault, _) = faults.total(), faults.most_common(1)[0]
    return n, [f"{n} of {len(rows)} faces got no answer and are left out, as if they were not in the test ({fault}): "
               "start the run again to ask them, or compare with runs over the same faces"]  # fmt: skip


def score(rows: Sequence[Prediction], protocol: Protocol, repeats: int = 1000, seed: int = 0) -> dict[str, Any]:
    """All metrics of some predictions, JSON-able; what does not apply is None, and `undefined` says why.

    Args:
        repeats: bootstrap resamples for the 95 % intervals; 0 = no intervals.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("no predictions to score; check what was filtered out before")
    scored = [row for row in rows if row.error is None]
    known = {x for x in subjects(scored) if x is not None}
    complete = all(row.subject is not None for row in scored)
    unread, astray = sum(map(_unread, scored)), sum(bool(row.faults) for row in scored)
    mixed = "subject where known, else face" if known else "face (no subjects known)"
    result: dict[str, Any] = {"n": len(scored), "n_subjects": len(known) or None, "metrics": [], "undefined": {},
                              "ci95": {}, "ci95_by": "subject" if complete else mixed, "n_by_class": {}}  # fmt: skip
    unanswered, told = _unanswered(rows)
    caveats = [*protocol.caveats, *_caveats(scored, unread), *told]
    for scorer in kinds(rows, protocol).values():
        faces, scores = _scored(scorer, rows, frame(rows, protocol))
        result["metrics"] += scorer.metrics
        result |= _values(result, scorer, faces, scores, repeats, seed)
        result["n_by_class"] |= scores.counts
        result |= scores.details
        caveats += scores.caveats
    result["parse_failure_rate"] = astray / len(scored) if scored else None
    result["unreadable_images"], result["unanswered"] = len(rows) - len(scored) - unanswered, unanswered
    return result | {"caveats": caveats}


def _values(result: dict[str, Any], scorer: Scorer, faces: Sequence[Prediction], scores: Scores, repeats: int,
            seed: int) -> dict[str, float | None]:  # fmt: skip
    """The values of one kind of score; their intervals, or why one has no value, are noted in the result."""
    everyone = np.arange(len(faces))
    found = {name: number(function(everyone)) for name, function in scores.statistics.items()}
    for name in scorer.metrics:
        if found.get(name) is None:
            result["undefined"][name] = scores.undefined.get(name, "it has no value on these faces")
    drawn = {name: function for name, function in scores.statistics.items() if found[name] is not None}
    if repeats and drawn:
        for name, (_, low, high) in bootstrap_all(drawn, len(faces), subjects(faces), repeats, seed).items():
            result["ci95"][name] = [number(low), number(high)]
    return {name: found.get(name) for name in scorer.metrics}


def over_folds(rows: Sequence[Prediction], protocol: Protocol) -> dict[str, Any] | None:
    """Each metric fold by fold, and its mean over them, as papers give it; None where there are no two folds."""
    if not protocol.folds:
        return None
    parts: dict[int, list[Prediction]] = {}
    for row in rows:
        if row.error is None and (fold := fold_of(protocol.folds, row.subject)) is not None:
            parts.setdefault(fold, []).append(row)
    return fold_means([values(parts[fold], protocol) for fold in sorted(parts)]) if len(parts) > 1 else None


def fold_means(folds: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    """The values of each fold, and the mean over folds of each metric that all of them have."""
    names = [name for name in folds[0] if all(fold.get(name) is not None for fold in folds)]
    means = {name: float(np.mean([fold[name] for fold in folds])) for name in names}
    return {"folds": list(folds), "mean": means}
