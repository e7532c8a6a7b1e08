"""EMER and OV-MERD: clips from Chinese films with emotions in the annotators' words, and their reasons.

    FaceRecord(source="mer2025", emotion_words=("excited", "joyful"), attributes={"described_by": "ovmerd"}, caption=…)

Words of MER2024's check-openset.csv and of MER2025's ovmerd, which people checked; those that models wrote
(mercaptionplus) are left out.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_SPLIT, ONE_FRAME_RATE
from facevlm.record import FaceRecord

PAPER = "Lian et al. 2024, arXiv 2410.01495 (OV-MER)"
JUDGE = "published overlaps of clues and labels are graded by a language model, which is not done here"


def checked(record: FaceRecord) -> bool:
    """Records whose words or reasons people checked."""
    return record.attributes.get("described_by") in ("check-openset", "ovmerd")


EMER = Benchmark(
    name="emer",
    title="EMER, OV-MERD",
    sources=("mer2024", "mer2025"),
    protocols=(
        Protocol(
            name="emer-words",
            doc="Every emotion in free words: F1 of groups, with precision, recall and hit rate.",
            source=f"{PAPER}, set-level precision and recall after grouping; the grouping is ours", scores=("words",),
            headline="words_f1", task="open_vocabulary", keep=checked,
            caveats=(NO_SPLIT, "synonyms are grouped by facevlm.wheel, not by a language model", ONE_FRAME_RATE),
        ),
        Protocol(
            name="emer-reason",
            doc="A description of what shows the emotion, against the annotators': ROUGE-L.",
            source=f"descriptions of {PAPER}; the score is ours", scores=("text",), headline="text_rouge_l",
            task="description", keep=checked,
            caveats=(NO_SPLIT, JUDGE, "the true descriptions speak of voice and words too", ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
