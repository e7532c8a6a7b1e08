"""RAF-AU: 4,601 faces from the web with blended emotions, AUs coded by FACS experts.

    FaceRecord(source="rafau", split="test", aus={1: 1, 2: 0, 4: 1, …})

The owners give no split. Ours is fixed by the pictures' numbers (a fifth, `options.fold`), so that it can be used by
others; a code of one side counts as the AU.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE

RAFAU = Benchmark(
    name="rafau",
    title="RAF-AU",
    sources=("rafau",),
    protocols=(
        Protocol(
            name="rafau-24",
            doc="Mean F1 of the 24 AUs that the set commonly codes, on our fixed fifth.",
            source="Yan, Li, Que, Pei & Deng 2020, ACCV (labels); AUs and split are ours: papers use random folds",
            scores=("aus",), headline="au_macro_f1", aus="RAF-AU-24", keep=lambda record: bool(record.aus),
            caveats=(
                "which AUs and folds published numbers are over is not stated", NO_PEOPLE,
                "the pictures are those of RAF-ML, and about 2 % are near duplicates of RAF-DB's test part",
            ),
        ),
    ),
)  # fmt: skip
