"""Lay the place of a claimed AU over with the same place of the same person at rest: does the claim go?"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL.Image import Image

from eval.faithfulness import regional
from eval.faithfulness.album import Album, Placed
from eval.faithfulness.covering import laid_upon, mean_colour, pasted, toned
from eval.faithfulness.evidence import Evidence, Findings, Probe
from eval.faithfulness.inquiry import Face, Inquiry
from facevlm.images import Box
from facevlm.record import FaceRecord

_NONE = "claims on faces without a picture of the same person at rest"


def at_rest(record: FaceRecord) -> bool:
    """Whether a face is known to show nothing: its AUs are labelled and none is present, or, unlabelled, neutral."""
    return not record.present_aus if record.aus else record.emotion == "neutral"


def donor(evidence: Evidence, face: Face) -> FaceRecord | None:
    """A picture of the same person at rest: the record's own from before the expression (the record itself stands
    for it), else the first still of the set with landmarks; None if there is none."""
    record = face.record
    if record.before is not None:
        return record
    if record.subject is None:
        return None
    others = (r for r in evidence.people[face.who] if r.id != record.id and not r.frames)
    return next((r for r in others if r.landmarks is not None and at_rest(r)), None)


def _lay(face: Face, rest: FaceRecord, album: Album, placed: Placed, boxes: Sequence[Box]) -> Image:
    if rest is face.record:
        # Of one recording: the camera and, but for its expression, the face are taken to be in place.
        return pasted(placed, boxes, album.before(rest).resize(placed.image.size))
    other = album.placed(rest)
    here, there = (np.asarray(r.landmarks, dtype=np.float64) for r in (face.record, rest))
    alike = toned(other.image, mean_colour(other, there), mean_colour(placed, here))
    moved = laid_upon(alike, other.place(there), placed.image.size, placed.place(here))
    return pasted(placed, boxes, moved)


def _ask(evidence: Evidence) -> list[Inquiry]:
    found: list[Inquiry] = []
    for face in evidence.faces:
        if (rest := donor(evidence, face)) is not None:
            found += regional.ask(evidence, "swap", face, partial(_lay, face, rest))
    return found


def _score(evidence: Evidence) -> Findings:
    found = regional.score(evidence, "swap", lambda face: _NONE if donor(evidence, face) is None else None)
    if found.numbers["goes"].value is None:
        return found
    caveat = "the patch has edges; pictures of a person are laid upon each other by landmarks and mean colour"
    return Findings(found.numbers, found.tables, found.left_out, (*found.caveats, caveat))


SWAP = Probe(
    title="Did it look? The place at rest",
    doc="The same region of the same person's face at rest is laid over that of a claimed action unit, and the same "
    "question asked again; then as much elsewhere. Nothing is hidden, and the region plainly does not show the action "
    "unit any more. Claims on people without such a picture are counted.",
    source="ours; the counterfactual patch instead of a grey one after Chang et al. 2019, ICLR, section 3",
    numbers=regional.SHOWN,
    ask=_ask,
    score=_score,
)
