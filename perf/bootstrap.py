"""How fast intervals are: python -m perf.bootstrap

Random answers of 100,000 faces (8 classes, 12 AUs, one number), 2,000 resamples for the intervals of accuracy, UAR,
macro F1, AU macro F1 and CCC together. `sums` is `bootstrap_all` as it is: all resamples as one matrix product.
`each` gathers the answers of every resample and scores them as if they were the data, which is what a metric that is
any function needs. Both in turns on the same, fewer resamples, CPU seconds, medians; then `sums` on all of them.
Subjects: whole people are drawn; faces: every face is one of its own. Last, the seconds of all metrics of each kind of
score that evaluation knows (`eval.scores`), over as many random answers. One thread. Last line: JSON.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy; more threads help little and harm on a busy machine

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame
from eval.scores import SCORES
from facevlm.metrics import AUTable, ClassTable, Indices, NumberTable, Statistic, bootstrap_all, ccc
from facevlm.vocab import AUS, LABEL_SETS


def answers(n: int) -> tuple[ClassTable, AUTable, NumberTable]:
    """Random answers that are right about two times in three."""
    rng = np.random.default_rng(0)
    truth = rng.integers(8, size=n)
    classes = ClassTable(tuple("abcdefgh"), np.where(rng.random(n) < 0.6, truth, rng.integers(9, size=n)), truth)
    known = rng.random((n, 12)) < 0.9
    present = (rng.random((n, 12)) < 0.2) & known
    aus = AUTable(tuple(range(1, 13)), present ^ (rng.random((n, 12)) < 0.1), present, known)
    value = rng.normal(size=(n, 1))
    whole = np.ones((n, 1), dtype=bool)
    return classes, aus, NumberTable(("valence",), value + rng.normal(size=(n, 1)), value, whole, ~whole)


def of_sums(classes: ClassTable, aus: AUTable, numbers: NumberTable) -> dict[str, Statistic]:
    """The metrics as the tables give them."""
    return {"accuracy": classes.accuracy, "uar": classes.uar, "macro_f1": classes.macro_f1, "au_f1": aus.macro_f1,
            "ccc": numbers.ccc}  # fmt: skip


def of_each(classes: ClassTable, aus: AUTable, numbers: NumberTable) -> dict[str, Statistic]:
    """The same metrics of the faces drawn, taken as data of their own."""

    def drawn(i: Indices) -> ClassTable:
        return ClassTable(classes.labels, classes.predicted[i], classes.truth[i])

    def au_f1(i: Indices) -> float:
        return AUTable(aus.aus, aus.predicted[i], aus.truth[i], aus.known[i]).macro_f1()

    return {"accuracy": lambda i: drawn(i).accuracy(), "uar": lambda i: drawn(i).uar(),
            "macro_f1": lambda i: drawn(i).macro_f1(), "au_f1": au_f1,
            "ccc": lambda i: ccc(numbers.predicted[i, 0], numbers.truth[i, 0])}  # fmt: skip


LABELS = LABEL_SETS["basic8"].labels
LEVELS = ("very low", "low", "high", "very high")
NAMED = tuple(AUS)[:12]
WORDS = ("happy", "sad", "afraid", "angry", "surprised")


def one(kind: str, rng: np.random.Generator) -> Prediction:
    """A random answer of a kind, with its truth."""
    unit, pick = rng.random, lambda some: str(some[rng.integers(len(some))])
    words = {"text": ("description", f"{pick(WORDS)} face. AU{rng.integers(1, 27)} shows."),
             "words": ("open_vocabulary", (pick(WORDS),)), "sentiment": ("open_vocabulary", (pick(WORDS),))}
    base = {"id": "", "source": "", "subject": None, "parts": ("answer",)}
    levels = {au: float(rng.integers(6)) for au in NAMED}
    match kind:
        case "aus" | "intensity":
            return Prediction(**base | {"parts": ("au",)}, task="au_intensity", gold_levels=levels, labelled_aus=NAMED,
                              gold_aus=tuple(au for au in NAMED if levels[au] > 1), aus={au: int(rng.integers(1, 6))
                              for au in NAMED if unit() < 0.4})  # fmt: skip
        case "affect":
            return Prediction(**base, task="valence_arousal", value=(unit(), unit()), gold=(unit(), unit()))
        case "number" | "age" | "pain":
            task, top = ("pain", 16) if kind == "pain" else ("age", 90)
            return Prediction(**base, task=task, value=round(top * unit(), 1), gold=float(rng.integers(top)))
        case "ratings":
            return Prediction(**base, task="emotion_intensity", offered=(f"emotion {rng.integers(40)}",),
                              value=float(rng.integers(8)), gold=7 * unit())  # fmt: skip
        case "choice" | "detection":
            task, said = ("gender", ("female", "male")) if kind == "choice" else ("ambivalence", ("yes", "no"))
            value, gold = (pick(said) if kind == "choice" else unit() < 0.5 for _ in range(2))
            return Prediction(**base, task=task, offered=said, value=value, gold=gold,
                              probabilities=dict(zip(said, (p := unit(), 1 - p), strict=True)))  # fmt: skip
        case "levels":
            return Prediction(**base, task="engagement", offered=LEVELS, value=pick(LEVELS), gold=pick(LEVELS))
        case "attributes":
            said, shown = (tuple(name for name in LABELS if unit() < 0.3) for _ in range(2))
            return Prediction(**base, task="attributes", offered=LABELS, value=said, gold=shown)
        case "shares":
            said, true = (dict(zip(LABELS, rng.dirichlet(np.ones(8)).tolist(), strict=True)) for _ in range(2))
            return Prediction(**base, task="soft_label", value=said, gold=true)
        case "words" | "sentiment" | "text" | "rege_emotion" | "rege_au":
            task, value = words.get(kind, words["text"])
            gold = ("positive",) if kind == "sentiment" else words.get(kind, words["text"])[1]
            return Prediction(**base, task=task, value=value, gold=gold)
    return Prediction(**base, task="label", offered=LABELS, value=pick(LABELS), gold=pick(LABELS),
                      probabilities=dict(zip(LABELS, rng.dirichlet(np.ones(8)).tolist(), strict=True)))  # fmt: skip


def by_kind(n: int, subjects: int, repeats: int) -> dict[str, dict[str, float]]:
    """CPU seconds of the intervals of all metrics of each kind of score."""
    rng, found = np.random.default_rng(1), {}
    for kind, scorer in SCORES.items():
        # Reading texts takes longer than resampling their scores, whose sums do not care that each is there ten times.
        times = 10 if kind in ("text", "rege_emotion", "rege_au") else 1
        rows = [one(kind, rng) for _ in range(n // times)] * times
        if not all(map(scorer.applies, rows)):
            raise SystemExit(f"kind {kind} does not score the random answers that were made for it")
        metrics = dict(scorer.score(rows, Frame((), NAMED)).statistics)
        found[kind] = {by: round(seconds(metrics, len(rows), clusters, repeats), 1) for by, clusters in
                       (("faces", None), ("subjects", (np.arange(len(rows)) % subjects).tolist()))}  # fmt: skip
    return found


def seconds(metrics: dict[str, Statistic], n: int, clusters: Sequence[int] | None, repeats: int) -> float:
    """CPU seconds: one thread, and what else runs on the machine stays out of it."""
    start = time.process_time()
    bootstrap_all(metrics, n, clusters, repeats)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--subjects", type=int, default=1_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--compared", type=int, default=20, help="resamples of the comparison")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tables, found = answers(args.faces), {}
    for by, clusters in (("faces", None), ("subjects", (np.arange(args.faces) % args.subjects).tolist())):
        times: dict[bool, list[float]] = {False: [], True: []}
        for i in range(args.rounds):
            for fast in (True, False) if i % 2 else (False, True):
                metrics = of_sums(*tables) if fast else of_each(*tables)
                times[fast].append(seconds(metrics, args.faces, clusters, args.compared))
        each, sums = (statistics.median(times[fast]) for fast in (False, True))
        whole = seconds(of_sums(*tables), args.faces, clusters, args.resamples)
        found[by] = {"seconds": round(whole, 2), "each_over_sums": round(each / sums, 1)}
    found["by_kind"] = by_kind(args.faces, args.subjects, args.resamples)
    print(json.dumps({"n": args.faces, "resamples": args.resamples, "metrics": 5, "compared": args.compared} | found))


if __name__ == "__main__":
    main()
