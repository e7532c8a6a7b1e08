"""MAFW: clips from films, television and short videos, one of eleven emotions each; five folds of the owners.

    FaceRecord(source="mafw", split="test", label_set="mafw", emotion="sadness", caption="A woman …")

Records are built for one fold (`options.fold`); the five runs are laid together with `eval.pool`. WAR is the accuracy.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE, OWN_FOLDS

PAPER = "Liu et al. 2022, ACM MM"

MAFW = Benchmark(
    name="mafw",
    title="MAFW",
    sources=("mafw",),
    protocols=(
        Protocol(
            name="mafw",
            doc="Eleven emotions in clips, mean over the owners' five folds: UAR, and WAR (the accuracy).",
            source=f"{PAPER}, single-labelled clips, five folds", scores=("emotion",), headline="emotion_uar",
            label_set="mafw", tested="folds", caveats=(OWN_FOLDS, ONE_FRAME_RATE),
        ),
        Protocol(
            name="mafw-caption",
            doc="A description of the clip against the owners' English one: ROUGE-L.",
            source=f"descriptions of {PAPER}; the score is ours", scores=("text",), headline="text_rouge_l",
            task="description", tested="folds",
            caveats=(OWN_FOLDS, ONE_FRAME_RATE, "neutral clips have no description and are left out"),
        ),
    ),
)  # fmt: skip
