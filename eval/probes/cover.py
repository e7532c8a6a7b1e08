"""Cover the place of a claimed AU with the face's mean colour: did the model look there?"""

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from eval.faithfulness import regional
from eval.faithfulness.album import Album, Placed
from eval.faithfulness.covering import mean_colour, painted
from eval.faithfulness.evidence import Evidence, Findings, Probe
from eval.faithfulness.inquiry import Face, Inquiry
from facevlm.images import Box


def _ask(evidence: Evidence) -> list[Inquiry]:
    return [inquiry for face in evidence.faces for inquiry in regional.ask(evidence, "cover", face, _lay(face))]


def _lay(face: Face) -> regional.Lay:
    def lay(_: Album, placed: Placed, boxes: Sequence[Box]) -> Image:
        colour = mean_colour(placed, np.asarray(face.record.landmarks, dtype=np.float64))
        return painted(placed, boxes, colour)

    return lay


def _score(evidence: Evidence) -> Findings:
    found = regional.score(evidence, "cover", lambda _: None)
    if found.numbers["goes"].value is None:
        return found
    caveat = "a covered face is a picture of a kind the model never saw: judge by the difference, not by what goes"
    return Findings(found.numbers, found.tables, found.left_out, (*found.caveats, caveat))


COVER = Probe(
    title="Did it look? The place covered",
    doc="The region of a claimed action unit is filled with the mean colour of the face, and the same question asked "
    "again; then an equal area elsewhere on the face. A claim that rests on what is seen goes with its region, and "
    "stays with the other.",
    source="occlusion after Zeiler & Fergus 2014, ECCV, section 4.2; the equal area elsewhere and the caveat about "
    "pictures unlike those of training after Hooker et al. 2019, NeurIPS (ROAR); per claim and by AU: ours",
    numbers=regional.SHOWN,
    ask=_ask,
    score=_score,
)
