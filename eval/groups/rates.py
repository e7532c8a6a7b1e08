"""What is compared between subgroups: every metric of a protocol, and for each class and AU how often it is found
where it is, and named where it is not.

"Equal opportunity" asks for equal recall, "equalized odds" for equal false alarms too (Hardt, Price & Srebro 2016,
NeurIPS, definitions 2.1 and 2.2), class by class. They are not moved by which expressions a subgroup happens to show;
accuracy and macro scores are.
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.benchmark import Protocol
from eval.frame.classification import said_and_true
from eval.frame.predictions import Prediction
from eval.frame.scoring import frame, kinds, subjects
from eval.groups.disparity import Batch
from eval.pages.figures import METRICS
from eval.scores import SCORES
from facevlm.metrics import Statistic, mean_of

RECALL, FALSE_ALARMS = "recall", "false alarms"


def metric_batches(rows: Sequence[Prediction], protocol: Protocol) -> list[Batch]:
    """The metrics of a protocol, those of one kind of score together."""
    found, within = [], frame(rows, protocol)
    for scorer in kinds(rows, protocol).values():
        places = [i for i, row in enumerate(rows) if row.error is None and scorer.applies(row)]
        if places:
            faces = [rows[i] for i in places]
            low = frozenset(name for name, metric in scorer.metrics.items() if metric.best == "low")
            found.append(Batch(places, subjects(faces), scorer.score(faces, within).statistics, {}, low))
    return found


def tested_metrics(protocol: Protocol) -> list[str]:
    """The metrics whose gaps are tested: the headline, and the first of each kind of score."""
    return list(dict.fromkeys((protocol.headline, *(next(iter(SCORES[kind].metrics)) for kind in protocol.scores))))


def title(measure: str) -> str:
    """How a measure is called on a page."""
    return METRICS[measure].title if measure in METRICS else measure


def _batch(rows: Sequence[Prediction], places: list[int], table: dict[str, list[float]]) -> Batch:
    """Measures that are means of one 0 or 1 a face; nan = the face does not count."""
    columns = {name: np.array(column) for name, column in table.items()}
    kept = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    measures: dict[str, Statistic] = {name: mean_of(column) for name, column in kept.items()}
    faces = [rows[i] for i in places]
    low = frozenset(name for name in kept if name.startswith(FALSE_ALARMS))
    return Batch(places, subjects(faces), measures, {name: ~np.isnan(c) for name, c in kept.items()}, low)


def _classes(rows: Sequence[Prediction], protocol: Protocol) -> Batch | None:
    """Recall and false alarms of each label, where one label is asked for."""
    places = [i for i, row in enumerate(rows) if row.error is None and row.judged
              and row.kind in ("label", "choice", "yes/no")]  # fmt: skip
    if not places:
        return None
    pairs = [said_and_true(rows[i]) for i in places]
    table: dict[str, list[float]] = {}
    for label in dict.fromkeys((*protocol.labels, *sorted({gold for _, gold in pairs}))):
        table[f"{RECALL} of {label}"] = [float(said == label) if gold == label else np.nan for said, gold in pairs]
        table[f"{FALSE_ALARMS} of {label}"] = [float(said == label) if gold != label else np.nan
                                               for said, gold in pairs]  # fmt: skip
    return _batch(rows, places, table)


def _units(rows: Sequence[Prediction], protocol: Protocol) -> Batch | None:
    """Recall and false alarms of each AU. A list that cannot be read names none."""
    places = [i for i, row in enumerate(rows) if row.error is None and "au" in row.parts and row.labelled_aus]
    if not places:
        return None
    table: dict[str, list[float]] = {}
    for au in frame(rows, protocol).aus:
        hits, alarms = [], []
        for row in (rows[i] for i in places):
            named, present = float(au in (row.named_aus or ())), au in row.gold_aus
            hits.append(named if present else np.nan)
            alarms.append(named if au in row.labelled_aus and not present else np.nan)
        table |= {f"{RECALL} of AU{au}": hits, f"{FALSE_ALARMS} of AU{au}": alarms}
    return _batch(rows, places, table)


def class_batches(rows: Sequence[Prediction], protocol: Protocol) -> list[Batch]:
    """How often each class and AU is found where it is, and named where it is not."""
    return [batch for batch in (_classes(rows, protocol), _units(rows, protocol)) if batch is not None]
