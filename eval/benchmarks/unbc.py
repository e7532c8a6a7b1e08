"""UNBC-McMaster: 48,398 frames of 25 patients moving a painful shoulder; pain on the PSPI scale, 0-16.

    FaceRecord(source="unbc", subject="042", attributes={"pain": "2"}, aus={4: 2, 6: 0, …, 43: 0})

Most frames show no pain: the errors are small for a model that always says 0, the correlations are not. Papers leave
one person out; one model that never saw the set is run once over all.
"""

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.record import FaceRecord
from facevlm.vocab import pspi

PAPER = "Lucey et al. 2011, FG; PSPI: Prkachin & Solomon 2008, Pain 139:267"


def painful(record: FaceRecord) -> bool:
    """Records with a pain score, or the AUs that add up to one."""
    return "pain" in record.attributes or pspi(record.aus) is not None


UNBC = Benchmark(
    name="unbc",
    title="UNBC-McMaster Shoulder Pain",
    sources=("unbc",),
    protocols=(
        Protocol(
            name="unbc-pspi",
            doc="PSPI of each frame, leaving one person out: r, ICC(3,1), MAE, RMSE, and pain against none.",
            source=f"{PAPER}; leave one person out as later papers report it", scores=("number", "pain"),
            headline="number_pcc", task="pain", tested="subjects", faces=48_398, keep=painful,
            caveats=("all frames count alike, most of which show no pain; some papers balance them, which is another "
                     "number",),
        ),
    ),
)  # fmt: skip
