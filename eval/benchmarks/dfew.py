"""DFEW: clips from films in seven emotions, five folds of the owners.

    FaceRecord(source="dfew", split="test", label_set="dfew", emotion="neutral")

Records are built for one fold (`options.fold`); the five runs are laid together with `eval.pool`. WAR is the accuracy.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE, OWN_FOLDS

DFEW = Benchmark(
    name="dfew",
    title="DFEW",
    sources=("dfew",),
    protocols=(
        Protocol(
            name="dfew",
            doc="Seven emotions in clips, mean over the owners' five folds: UAR, and WAR (the accuracy).",
            source="Jiang et al. 2020, ACM MM, single-labelled clips, five folds", scores=("emotion",),
            headline="emotion_uar", label_set="dfew", tested="folds",
            caveats=(OWN_FOLDS, ONE_FRAME_RATE, "some published numbers are of fold 1 alone (2,341 clips)"),
        ),
    ),
)  # fmt: skip
