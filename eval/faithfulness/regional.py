"""Claims tested by the place where they show: take the place away, the claim should go; take another, it should stay.

Shared by the probes that differ in what is laid over the place alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image

from eval.faithfulness.album import Album, Placed
from eval.faithfulness.covering import covered_region, elsewhere, face_area
from eval.faithfulness.evidence import Evidence, Findings, Shown
from eval.faithfulness.inquiry import Face, Inquiry
from eval.faithfulness.measured import FEW, Number, measured
from facevlm.images import Box, ImageError
from facevlm.vocab import AUS, Region

Lay = Callable[[Album, Placed, Sequence[Box]], Image]
"""Lays something over the boxes (pixels of the whole picture) of a face as it is shown."""

SHOWN = {
    "goes": Shown("Claims that go", "their own region is taken away; a claim that rests on it should go"),
    "goes_elsewhere": Shown("Claims that go all the same", "as much is taken away elsewhere; they should stay"),
    "difference": Shown("Difference", "claims that go for their own region alone; 0 if the place does not matter",
                        -1.0),  # fmt: skip
    "chance": Shown("Would go by chance", "if the answer were that to some other person's face"),
}
"""The numbers; the difference is over the claims for which there is room elsewhere."""

_NO_CLAIM = "no claims: the model named no action unit whose place is known"


class Claim(NamedTuple):
    """An AU that the plain answer claims, and what became of it."""

    face: Face
    au: int
    goes: bool | None
    """Whether it is no longer claimed with its region covered; None = not asked, or no readable list."""
    elsewhere: bool | None
    """The same with an equal area elsewhere covered."""


def reason_against(face: Face, au: int) -> str | None:
    """Why a claim cannot be tested by its place; None if it can."""
    if face.record.frames:
        return "claims on clips, in which the face moves"
    if face.record.landmarks is None:
        return "claims on faces without landmarks"
    return "claims about the head as a whole" if AUS[au].region == "head" else None


def regions(evidence: Evidence, face: Face) -> list[Region]:
    """The regions of what is claimed about a face, as far as their place is known, in the order of their AUs."""
    claims = sorted(evidence.claims(face) or ())
    return list(dict.fromkeys(AUS[n].region for n in claims if reason_against(face, n) is None))


def ask(evidence: Evidence, name: str, face: Face, lay: Lay) -> list[Inquiry]:
    """Two questions for each region that is claimed to show something: with it covered, and with as much elsewhere."""
    found: list[Inquiry] = []
    record = face.record
    for region in regions(evidence, face):
        points = np.asarray(record.landmarks, dtype=np.float64)
        try:
            part = evidence.album.part(record)
        except ImageError:
            return []
        boxes = covered_region(points, region, part)
        if not boxes:
            continue
        away = elsewhere(boxes, face_area(points, part), f"{record.source}:{record.id}:{region}", evidence.seed)
        for suffix, place in (("", boxes), ("elsewhere", away)):
            if place is not None:
                found.append(_inquiry(face, _named(name, region, suffix), lay, place))
    return found


def _named(name: str, region: Region, suffix: str) -> str:
    return f"{name}:{region}:{suffix}" if suffix else f"{name}:{region}"


def _inquiry(face: Face, name: str, lay: Lay, boxes: Sequence[Box]) -> Inquiry:
    def picture(album: Album) -> tuple[Image, ...]:
        return (lay(album, album.placed(face.record), boxes),)

    return Inquiry(face=face, name=name, picture=picture)


def _gone(evidence: Evidence, face: Face, name: str, au: int) -> bool | None:
    claims = evidence.claims(face, name)
    return None if claims is None else au not in claims


def score(evidence: Evidence, name: str, testable: Callable[[Face], str | None]) -> Findings:
    """What became of every claim.

    Args:
        testable: why the claims on a face cannot be tested by this probe; None if they can.
    """
    claims: list[Claim] = []
    left_out: Counter[str] = Counter()
    for face in evidence.faces:
        for au in sorted(evidence.claims(face) or ()):
            if reason := reason_against(face, au) or testable(face):
                left_out[reason] += 1
                continue
            own, away = (_named(name, AUS[au].region, suffix) for suffix in ("", "elsewhere"))
            claim = Claim(face, au, _gone(evidence, face, own, au), _gone(evidence, face, away, au))
            left_out["claims without a readable answer to the covered picture"] += claim.goes is None
            if evidence.reading(face, away) is None:
                left_out["claims with no room to cover as much elsewhere"] += evidence.reading(face, own) is not None
            claims.append(claim)
    numbers = _numbers(evidence, claims)
    rows = [_row(evidence, n, [claim for claim in claims if claim.au == n]) for n in sorted({c.au for c in claims})]
    few = sum(row["Claims"] < FEW for row in rows)
    tables = {"By action unit": rows} if rows else {}
    caveats = [f"{few} of {len(rows)} action units have fewer than {FEW} claims: too few to compare"] if few else []
    return Findings(numbers, tables, {reason: n for reason, n in left_out.items() if n}, caveats)


def _numbers(evidence: Evidence, claims: Sequence[Claim]) -> dict[str, Number]:
    whose = [claim.face.who for claim in claims]
    both = [None if c.goes is None or c.elsewhere is None else float(c.goes) - float(c.elsewhere) for c in claims]
    values = {
        "goes": [None if c.goes is None else float(c.goes) for c in claims],
        "goes_elsewhere": [None if c.elsewhere is None else float(c.elsewhere) for c in claims],
        "difference": both,
        "chance": _chances(evidence, claims),
    }
    lacking = _NO_CLAIM if not claims else "no covered picture got a readable answer"
    return {key: measured(some, whose, evidence.repeats, evidence.seed, lacking) for key, some in values.items()}


def _chances(evidence: Evidence, claims: Sequence[Claim]) -> list[float | None]:
    """How rarely each claim's AU is claimed about faces of other people, 0-1."""
    everyone: Counter[int] = Counter()
    own: Counter[tuple[str, int]] = Counter()
    answers: Counter[str] = Counter()
    for face in evidence.faces:
        if (named := evidence.claims(face)) is not None:
            answers[face.who] += 1
            everyone.update(named)
            own.update((face.who, n) for n in named)
    total = sum(answers.values())
    found: list[float | None] = []
    for claim in claims:
        others = total - answers[claim.face.who]
        named_there = everyone[claim.au] - own[claim.face.who, claim.au]
        found.append(1 - named_there / others if others and claim.goes is not None else None)
    return found


def _row(evidence: Evidence, au: int, claims: Sequence[Claim]) -> dict[str, Any]:
    shown = _numbers(evidence, claims)
    return {"AU": f"AU{au}", "Name": AUS[au].name, "Claims": len(claims)} | {
        SHOWN[key].title: number for key, number in shown.items()
    }
