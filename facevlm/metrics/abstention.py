"""What a model gains by leaving out the faces that it is least sure of."""

import functools
import math
from typing import NamedTuple

import numpy as np

from facevlm.metrics.inputs import Bools, Floats, Numbers, confidences
from facevlm.metrics.weights import Ranking, WeightStatistic


class RiskCoverage(NamedTuple):
    """The error rate of the most confident faces, for each number of faces answered."""

    coverage: Floats
    """(faces,) share answered, 1/n to 1."""
    risk: Floats
    """(faces,) error rate among those, 0-1."""


def risk_coverage(confidence: Numbers, correct: Bools) -> RiskCoverage:
    """The risk-coverage curve. Faces of equal confidence share their mean error, so that their order is no matter.

    Source: El-Yaniv & Wiener 2010, JMLR 11:1605.
    """
    x, y = confidences(confidence, correct)
    _, place, counts = np.unique(-x, return_inverse=True, return_counts=True)
    error = (np.bincount(place, 1 - y) / counts)[np.sort(place)]
    answered = np.arange(1, len(x) + 1)
    return RiskCoverage(answered / len(x), np.cumsum(error) / answered)


def aurc(confidence: Numbers, correct: Bools) -> float:
    """Area under the risk-coverage curve, 0-1, lower is better: mean risk over all coverages.

    Source: Geifman, Uziel & El-Yaniv 2019, ICLR.
    """
    return aurc_of(confidence, correct)()


def aurc_of(confidence: Numbers, correct: Bools) -> WeightStatistic:
    """`aurc` as a metric that is resampled without sorting again."""
    x, y = confidences(confidence, correct)
    steps = _Steps.of(x, y)

    def finish(times: Floats) -> float:
        n, wrong = steps(times)
        answered, missed = np.cumsum(n), np.cumsum(wrong)
        total = int(answered[-1])
        if not total:
            return math.nan
        # Within a step the risk at k answers is (missed before it + error (k - answered before it)) / k. Summed over
        # k, that is error n + (missed before - error answered before) times the sum of 1 / k.
        error = wrong / np.maximum(n, 1)
        parts = np.diff(_harmonic(total.bit_length())[answered.astype(np.int64)], prepend=0.0)
        return float((wrong + (missed - wrong - error * (answered - n)) * parts).sum() / total)

    return WeightStatistic(len(x), finish)


@functools.lru_cache(4)
def _harmonic(bits: int) -> Floats:
    """(2 ** bits,) 1 + 1/2 + … + 1/k at place k."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 2**bits))])


def selective_accuracy(confidence: Numbers, correct: Bools, coverage: float) -> float:
    """Accuracy of the most confident share of the faces, 0-1; equal confidences as in `risk_coverage`.

    Args:
        coverage: share answered, above 0 up to 1; as many faces as reach it, at least one.

    Raises:
        ValueError: as `risk_coverage`, or a coverage outside the range.
    """
    return selective_accuracy_of(confidence, correct, coverage)()


def selective_accuracy_of(confidence: Numbers, correct: Bools, coverage: float) -> WeightStatistic:
    """`selective_accuracy` as a metric that is resampled without sorting again."""
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage={coverage} given; it is the share of faces answered, above 0 up to 1")
    x, y = confidences(confidence, correct)
    steps = _Steps.of(x, y)

    def finish(times: Floats) -> float:
        n, wrong = steps(times)
        answered = np.cumsum(n)
        few = math.ceil(round(coverage * float(answered[-1]), 9))
        if not few:
            return math.nan
        last = int(np.searchsorted(answered, few))
        left = answered[last] - few  # of the last step, these are not answered
        return float(1 - (wrong[: last + 1].sum() - wrong[last] / n[last] * left) / few)

    return WeightStatistic(len(x), finish)


class _Steps(NamedTuple):
    """What the risk-coverage curve of any resample is made of: the faces of each confidence, the highest first."""

    ranking: Ranking
    wrong: Floats

    @classmethod
    def of(cls, confidence: Floats, correct: Floats) -> "_Steps":
        ranking = Ranking(confidence)
        return cls(ranking, ranking.ordered(1 - correct))

    def __call__(self, times: Floats) -> tuple[Floats, Floats]:
        """How many faces each step has, and how many wrong ones, each (steps,)."""
        drawn = self.ranking.ordered(times)
        return self.ranking.sums(drawn), self.ranking.sums(drawn * self.wrong)
