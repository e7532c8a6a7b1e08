"""BAH: webcam videos of people who are ambivalent or hesitant, or not; the owners' split by person.

    FaceRecord(source="bah", split="test", subject="82593", attributes={"ambivalence": "no"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE

BAH = Benchmark(
    name="bah",
    title="BAH",
    sources=("bah",),
    protocols=(
        Protocol(
            name="bah-video",
            doc="Whether a video shows ambivalence or hesitancy: macro F1, average precision.",
            source="González-González et al. 2025, BAH, videos; macro F1 and AP recalled, not checked",
            scores=("choice", "detection"), headline="choice_macro_f1", task="ambivalence", classes=("yes", "no"),
            faces=392, caveats=("without sound and words, which most published models have", ONE_FRAME_RATE,
                                "a later release has more videos than these lists"),
        ),
    ),
)  # fmt: skip
