"""One label a face, whatever the labels are: the table of right and wrong, and its scores under a prefix."""

from collections.abc import Mapping, Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Metric, Scores, plain
from facevlm.metrics import ClassTable
from facevlm.vocab import EMOTIONS


def metrics(prefix: str, what: str, whats: str) -> dict[str, Metric]:
    """The metrics of one label a face, named and titled for what it is."""
    title = what.capitalize()
    return {
        f"{prefix}accuracy": Metric(f"{title} accuracy", f"share of faces with the right {what}; also called WAR"),
        f"{prefix}uar": Metric(f"{title} UAR", f"mean recall over the {whats} that occur"),
        f"{prefix}macro_f1": Metric(f"{title} macro-F1", f"mean F1 over the {whats} that occur"),
        f"{prefix}weighted_f1": Metric(f"{title} weighted F1", f"mean F1 over the {whats}, by how often each occurs"),
    }


def said_and_true(row: Prediction) -> tuple[str | None, str]:
    """The label that was said, None if unreadable, and the right one."""
    words = {True: "yes", False: "no"}
    said, gold = (words.get(x, x) if isinstance(x, bool) else x for x in (row.value, row.gold))
    return (said if isinstance(said, str) else None), str(gold)


def class_table(rows: Sequence[Prediction], classes: Sequence[str]) -> ClassTable:
    """The labels of `rows`, classes in the order given, then others that occur."""
    pairs = [said_and_true(row) for row in rows]
    place = {label: i for i, label in enumerate(EMOTIONS)}
    occurring = {gold for _, gold in pairs} | {said for said, _ in pairs if said is not None}
    others = sorted(occurring, key=lambda label: (place.get(label, len(place)), label))
    labels = list(dict.fromkeys((*classes, *others)))
    return ClassTable.of([said for said, _ in pairs], [gold for _, gold in pairs], labels)


def absent(counts: Mapping[str, int], classes: Sequence[str], what: str) -> list[str]:
    """The caveat where the truth lacks a class that the protocol has."""
    lacking = [label for label in classes if not counts.get(label)]
    left = len([label for label, n in counts.items() if n])
    return [f"no face is labelled {', '.join(lacking)}: means over {what} are over the {left} that occur"] if lacking \
        else []  # fmt: skip


def classify(rows: Sequence[Prediction], classes: Sequence[str], prefix: str, whats: str) -> Scores:
    """Accuracy, UAR, macro and weighted F1, with the confusion matrix and a row per class."""
    table = class_table(rows, classes)
    functions = (table.accuracy, table.uar, table.macro_f1, table.weighted_f1)
    names = ("accuracy", "uar", "macro_f1", "weighted_f1")
    each = table.per_class()
    counts = {score.label: score.support for score in each}
    confusion = {"rows": list(table.labels), "columns": [*table.labels, "unreadable"],
                 "counts": table.confusion().tolist()}  # fmt: skip
    return Scores({prefix + name: f for name, f in zip(names, functions, strict=True)},
                  {"per_class": [plain(score) for score in each], "confusion": confusion},
                  counts, absent(counts, classes, whats))  # fmt: skip
