"""The metrics: pure functions on plain sequences and numpy arrays, shared by rewards, benchmarks and server.

Everywhere: predictions first, truth second; what cannot be computed is `nan`, never 0; empty or unequal inputs raise.
A prediction of None is an answer that could not be read. It counts as wrong, it is never left out.
`ClassTable`, `AUTable` and `NumberTable` hold the answers to all faces once; their metrics are `SumStatistic`s, which
`bootstrap`, `paired_bootstrap` and `permutation_test` score for thousands of resamples at once; `auc_of` and its like
are `WeightStatistic`s, which are resampled without sorting the faces again.
"""

from facevlm.metrics.abstention import (
    RiskCoverage,
    aurc,
    aurc_of,
    risk_coverage,
    selective_accuracy,
    selective_accuracy_of,
)
from facevlm.metrics.agreement import kappa, kappas, krippendorff_alpha
from facevlm.metrics.attributes import AttributeScore, AttributeScores, attribute_scores
from facevlm.metrics.au_sets import level_f1, set_f1
from facevlm.metrics.aus import AUScore, AUTable
from facevlm.metrics.calibration import brier, confidence_brier, ece
from facevlm.metrics.class_table import ClassScore, ClassTable
from facevlm.metrics.comparison import McNemar, Permutation, holm, mcnemar, permutation_test
from facevlm.metrics.faba import FABA_AUS, Rege, rege
from facevlm.metrics.inputs import Bools, Floats, Indices, Numbers, Statistic
from facevlm.metrics.intervals import Interval, bootstrap, bootstrap_all, paired_bootstrap
from facevlm.metrics.labels import accuracy, confusion, macro_f1, micro_f1, per_class, uar, war, weighted_f1
from facevlm.metrics.micro import LosoScore, loso_scores
from facevlm.metrics.number_table import NumberScore, NumberTable
from facevlm.metrics.numbers import ccc, cumulative_score, icc31, mae, pearson, rmse
from facevlm.metrics.open_words import HitRate, Wheel, WheelScore, hit_rate, wheel_score
from facevlm.metrics.ranking import auc, auc_of, average_precision, average_precision_of
from facevlm.metrics.seeds import SeedSpread, seed_spread, t_quantile
from facevlm.metrics.sentiment import SentimentScore, sentiment_scores
from facevlm.metrics.shares import js_divergences, kl_divergences, share_table
from facevlm.metrics.sums import SumStatistic, mean_of
from facevlm.metrics.weights import WeightStatistic
from facevlm.metrics.words import RougeL, rouge_l

__all__ = [
    "FABA_AUS", "AUScore", "AUTable", "AttributeScore", "AttributeScores", "Bools", "ClassScore", "ClassTable",
    "Floats", "HitRate", "Indices", "Interval", "LosoScore", "McNemar", "NumberScore", "NumberTable", "Numbers",
    "Permutation", "Rege", "RiskCoverage", "RougeL", "SeedSpread", "SentimentScore", "Statistic", "SumStatistic",
    "WeightStatistic", "Wheel", "WheelScore", "accuracy", "attribute_scores", "auc", "auc_of", "aurc", "aurc_of",
    "average_precision", "average_precision_of", "bootstrap", "bootstrap_all", "brier", "ccc", "confidence_brier",
    "confusion", "cumulative_score", "ece", "hit_rate", "holm", "icc31", "js_divergences", "kappa", "kappas",
    "kl_divergences", "krippendorff_alpha", "level_f1", "loso_scores", "macro_f1", "mae", "mcnemar", "mean_of",
    "micro_f1", "paired_bootstrap", "pearson", "per_class", "permutation_test", "rege", "risk_coverage", "rmse",
    "rouge_l", "seed_spread", "selective_accuracy", "selective_accuracy_of", "sentiment_scores", "set_f1",
    "share_table", "t_quantile", "uar", "war", "weighted_f1", "wheel_score",
]  # fmt: skip
