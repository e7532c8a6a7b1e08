"""What lmms-eval calls for a task that `python -m data_builders.export format=lmms-eval` made.

Pictures, the reading of answers and the metrics are facevlm's own, so that the numbers are those of `eval.run`:
install facevlm into the environment of lmms-eval. Relative paths of pictures start from $FACEVLM_MEDIA_ROOT.

An answer that cannot be read is wrong; for a number it counts as the end of the scale that is farther from the truth.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from facevlm.answer import Answer, Form, Value, parse, read
from facevlm.images import crop, decode
from facevlm.metrics import AUTable, ccc, macro_f1, set_f1, uar
from facevlm.tasks import TASKS

Doc = Mapping[str, Any]
"""A row of the data file."""
Item = dict[str, Any]
"""What one row adds to a metric: `score`, or `said` and `truth`; and `subject`, by which errors are clustered."""


def doc_to_visual(doc: Doc) -> list[Image.Image]:
    """The pictures as facevlm shows them: upright, on white, cut to the face; how large is for the model to say."""
    root = os.environ.get("FACEVLM_MEDIA_ROOT", "")
    pictures = []
    for path, box in zip(doc["images"], doc["boxes"], strict=True):
        picture = decode(os.path.join(root, path))
        pictures.append(crop(picture, tuple(box)) if box else picture)
    return pictures


def doc_to_text(doc: Doc) -> str:
    """The question, word for word as it was trained."""
    return str(doc["question"])


def doc_to_target(doc: Doc) -> str:
    """The right answer in the answer form."""
    return str(doc["answer"])


def process_results(doc: Doc, results: Sequence[str]) -> dict[str, Item]:
    """One answer -> what it adds to each metric of the task."""
    form = TASKS[doc["task"]].form
    said = parse(results[0], doc["parts"], doc["labels"] or None, form)
    items: dict[str, Item] = {"parse_failure_rate": {"score": float(bool(said.faults))}}
    if "au" in doc["parts"] and doc["labelled_aus"]:
        named, labelled = _named(said, doc["au_threshold"]), list(doc["labelled_aus"])
        truth = list(doc["aus"])
        items["au_set_f1"] = {"score": set_f1(named, truth, labelled)}
        items["au_macro_f1"] = {"said": named, "truth": truth, "labelled": labelled}
    if "answer" in doc["parts"]:
        gold = read(doc["value"], form, doc["labels"] or None)
        if gold is None:
            raise ValueError(f"row {doc['record_id']}: its own answer {doc['value']!r} cannot be read")
        items |= _SCORES[form.kind](said.value, gold, form)
    return {name: item | {"subject": doc["subject"] or doc["record_id"]} for name, item in items.items()}


def _named(said: Answer, threshold: float) -> list[int] | None:
    # An AU with a letter below the threshold is said to be absent.
    if said.aus is None:
        return None
    return sorted(n for n, level in said.aus.items() if level is None or level >= threshold)


def _class(said: Value | None, gold: Value, _: Form) -> dict[str, Item]:
    pair = {"said": None if said is None else str(said), "truth": str(gold)}
    return {"accuracy": {"score": float(said == gold)}, "uar": pair, "macro_f1": dict(pair)}


def _farther(gold: float, low: float, high: float) -> float:
    return low if gold - low > high - gold else high


def _number(said: Any, gold: Any, form: Form) -> dict[str, Item]:
    value = _farther(gold, form.low, form.high) if said is None else said
    return {"mae": {"score": abs(value - gold)}}


def _pair(said: Any, gold: Any, _: Form) -> dict[str, Item]:
    values = said or tuple(_farther(x, -1, 1) for x in gold)
    names = ("valence_ccc", "arousal_ccc")
    return {name: {"said": x, "truth": y} for name, x, y in zip(names, values, gold, strict=True)}


def _words(said: Any, gold: Any, _: Form) -> dict[str, Item]:
    numbers = {word: i for i, word in enumerate({*gold, *(said or ())})}
    named = None if said is None else [numbers[word] for word in said]
    return {"words_f1": {"score": set_f1(named, [numbers[word] for word in gold])}}


def _shares(said: Any, gold: Any, _: Form) -> dict[str, Item]:
    return {"overlap": {"score": sum(min(share, gold.get(label, 0.0)) for label, share in (said or {}).items())}}


_SCORES: dict[str, Callable[[Any, Any, Form], dict[str, Item]]] = {
    "label": _class, "choice": _class, "yes/no": _class, "number": _number, "pair": _pair, "words": _words,
    "shares": _shares,
}  # fmt: skip
"""By kind of answer. A free text has no metric here."""

METRICS: dict[str, tuple[tuple[str, str], ...]] = {
    "label": (("accuracy", "mean"), ("uar", "recall"), ("macro_f1", "class_f1")),
    "choice": (("accuracy", "mean"), ("uar", "recall"), ("macro_f1", "class_f1")),
    "yes/no": (("accuracy", "mean"), ("uar", "recall"), ("macro_f1", "class_f1")),
    "number": (("mae", "mean"),),
    "pair": (("valence_ccc", "concordance"), ("arousal_ccc", "concordance")),
    "words": (("words_f1", "mean"),),
    "shares": (("overlap", "mean"),),
    "au": (("au_set_f1", "mean"), ("au_macro_f1", "au_f1")),
}
"""Metrics and their aggregations below, by kind of answer; "au" where AUs are asked."""


def mean(items: Sequence[Item]) -> float:
    """Mean score of the faces."""
    return math.fsum(item["score"] for item in items) / len(items)


def recall(items: Sequence[Item]) -> float:
    """Unweighted average recall, 0-1; see `facevlm.metrics.uar`."""
    return uar([item["said"] for item in items], [item["truth"] for item in items])


def class_f1(items: Sequence[Item]) -> float:
    """Macro F1 over the classes, 0-1; see `facevlm.metrics.macro_f1`."""
    return macro_f1([item["said"] for item in items], [item["truth"] for item in items])


def concordance(items: Sequence[Item]) -> float:
    """Concordance correlation, -1 to 1; see `facevlm.metrics.ccc`."""
    return ccc([item["said"] for item in items], [item["truth"] for item in items])


def au_f1(items: Sequence[Item]) -> float:
    """Macro F1 over the AUs that are labelled anywhere, 0-1; see `facevlm.metrics.AUTable`."""
    aus = sorted({n for item in items for n in item["labelled"]})
    said, truth, labelled = ([item[key] for item in items] for key in ("said", "truth", "labelled"))
    return AUTable.of(said, truth, labelled, aus).macro_f1()
