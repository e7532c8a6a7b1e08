"""Celeb-DF-v2: 518 test videos, real interviews of celebrities and face swaps.

    FaceRecord(source="celebdf", split="test", attributes={"authenticity": "real"})

Its main score is the AUC, which needs the probabilities of real and fake: run it with `mode=label`.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE

CELEBDF = Benchmark(
    name="celebdf",
    title="Celeb-DF-v2",
    sources=("celebdf",),
    protocols=(
        Protocol(
            name="celebdf",
            doc="Real or fake on the official test videos: AUC (with mode=label), accuracy.",
            source="Li, Yang, Sun, Qi & Lyu 2020, CVPR, AUC on the test list", scores=("choice",),
            headline="choice_auc", task="real_fake", faces=518,
            caveats=("the test shows celebrities of the training videos: a model trained on these may know them, not "
                     "the fakes", "one answer for a video; published numbers are for frames or for videos",
                     ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
