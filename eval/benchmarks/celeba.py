"""CelebA: 19,962 test faces with 40 yes/no attributes.

    FaceRecord(source="celeba", split="test", subject="2880", attributes={"smiling": "yes", …, "gender": "female"})

A face is asked four times, for ten attributes each: all forty at once would be forty guesses at one look. "Male" is
asked as the other 39 are.
"""

from collections.abc import Sequence
from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol, aspect
from facevlm.record import FaceRecord

AT_ONCE = 10
_MALE = {"male": "yes", "female": "no"}


def with_male(record: FaceRecord) -> FaceRecord:
    """The record with the fortieth attribute, which the reader turns into a gender."""
    gender = record.attributes.get("gender")
    return record if gender is None else replace(record, attributes={**record.attributes, "male": _MALE[gender]})


def by_tens(record: FaceRecord) -> Sequence[FaceRecord]:
    """One question for each ten attributes, in the order of the alphabet."""
    asked = sorted(name for name, value in record.attributes.items() if value in ("yes", "no"))
    kept = {name: value for name, value in record.attributes.items() if name not in asked}
    parts = [asked[i : i + AT_ONCE] for i in range(0, len(asked), AT_ONCE)]
    return [aspect(record, str(i), attributes=kept | {name: record.attributes[name] for name in part})
            for i, part in enumerate(parts, 1)]  # fmt: skip


CELEBA = Benchmark(
    name="celeba",
    title="CelebA",
    sources=("celeba",),
    protocols=(
        Protocol(
            name="celeba-40",
            doc="40 attributes on the owners' test part: mean accuracy.",
            source="Liu, Luo, Wang & Tang 2015, ICCV, mean accuracy over 40 attributes", scores=("attributes",),
            headline="attribute_accuracy", task="attributes", faces=19_962, view=with_male, questions=by_tens,

            caveats=("most attributes are absent from most faces, so that naming none is right most of the time: read "
                     "the F1 too",),
        ),
    ),
)  # fmt: skip
