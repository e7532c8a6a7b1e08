"""Scores that rank faces: do those that should come first come first?"""

import math

import numpy as np

from facevlm.metrics.inputs import Bools, Floats, Numbers, pairs
from facevlm.metrics.weights import Ranking, WeightStatistic


def auc(scores: Numbers, positive: Bools) -> float:
    """Area under the ROC curve, 0-1: the chance that a positive outscores a negative, ties counting half.

    nan if all faces are positive or all negative. Source: Hanley & McNeil 1982, Radiology 143:29.
    """
    return auc_of(scores, positive)()


def auc_of(scores: Numbers, positive: Bools) -> WeightStatistic:
    """`auc` as a metric that is resampled without sorting again."""
    x, y = pairs(scores, np.asarray(positive, dtype=np.float64))
    ranking = Ranking(x)
    positives = ranking.ordered(y)

    def finish(times: Floats) -> float:
        drawn = ranking.ordered(times)
        hits = ranking.sums(drawn * positives)
        misses = ranking.sums(drawn) - hits
        n, m = float(hits.sum()), float(misses.sum())
        # Each positive against the negatives below its group, and half of those in it.
        return float((hits * (m - np.cumsum(misses) + misses / 2)).sum() / (n * m)) if n and m else math.nan

    return WeightStatistic(len(x), finish)


def average_precision(scores: Numbers, positive: Bools) -> float:
    """Area under the precision-recall curve in steps, 0-1; equal scores enter together. nan without positives.

    Source: Zhu 2004, Recall, precision and average precision, University of Waterloo.
    """
    return average_precision_of(scores, positive)()


def average_precision_of(scores: Numbers, positive: Bools) -> WeightStatistic:
    """`average_precision` as a metric that is resampled without sorting again."""
    x, y = pairs(scores, np.asarray(positive, dtype=np.float64))
    ranking = Ranking(x)
    positives = ranking.ordered(y)

    def finish(times: Floats) -> float:
        drawn = ranking.ordered(times)
        hits, seen = ranking.sums(drawn * positives), np.cumsum(ranking.sums(drawn))
        found = np.cumsum(hits)
        if not found[-1]:
            return math.nan
        return float((hits * found / np.maximum(seen, 1)).sum() / found[-1])

    return WeightStatistic(len(x), finish)
