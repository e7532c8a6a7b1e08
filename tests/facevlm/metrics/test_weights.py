"""Metrics of weights: each resample has the value of its faces as data of their own, by another implementation."""

import numpy as np
import pytest
from sklearn import metrics as sk

from facevlm import metrics as m
from facevlm.metrics.intervals import resampled

N = 80


@pytest.mark.parametrize("people", [None, 13])
@pytest.mark.parametrize("digits", [1, 8], ids=["ties", "no ties"])
def test_resamples_are_scored_as_data_of_their_own(digits: int, people: int | None, rng: np.random.Generator) -> None:
    scores, truth = rng.random(N).round(digits), rng.random(N) < 0.6

    def risks(i: m.Indices) -> m.Floats:
        return m.risk_coverage(scores[i], truth[i]).risk

    def sure(i: m.Indices) -> float:
        return float(1 - risks(i)[int(np.ceil(round(0.8 * len(i), 9))) - 1])

    ways = [
        (m.auc_of(scores, truth), lambda i: sk.roc_auc_score(truth[i], scores[i])),
        (m.average_precision_of(scores, truth), lambda i: sk.average_precision_score(truth[i], scores[i])),
        (m.aurc_of(scores, truth), lambda i: float(risks(i).mean())),
        (m.selective_accuracy_of(scores, truth, 0.8), sure),
    ]  # fmt: skip
    clusters = None if people is None else (np.arange(N) % people).tolist()
    for weighed, each in ways:
        fast, slow = resampled([weighed, each], N, clusters, repeats=40)
        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)
        assert len(set(fast.tolist())) > 10
        assert weighed(np.array([3, 3, 5, 70, 71, 7])) == pytest.approx(each(np.array([3, 3, 5, 70, 71, 7])))


def test_a_resample_without_a_negative_has_no_auc_and_is_left_out() -> None:
    found = m.bootstrap(m.auc_of([0.1, 0.9, 0.8], [False, True, True]), 3, repeats=50)
    assert found == (1, 1, 1)


def test_a_metric_of_other_faces_is_refused() -> None:
    with pytest.raises(ValueError, match="a metric of 3 faces given for n=4"):
        m.bootstrap(m.auc_of([0.1, 0.9, 0.8], [False, True, True]), 4)


@pytest.mark.parametrize("weights", ["quadratic", "linear", "none"])
def test_kappas_of_tables_are_those_of_sklearn(weights: str, rng: np.random.Generator) -> None:
    graded = rng.integers(5, size=(6, 2, 50))
    tables = np.array([sk.confusion_matrix(a, b, labels=range(5)) for a, b in graded]).astype(np.float64)
    expected = [sk.cohen_kappa_score(a, b, weights=None if weights == "none" else weights) for a, b in graded]
    np.testing.assert_allclose(m.kappas(tables, weights), expected)  # type: ignore[arg-type]
