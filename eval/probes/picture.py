"""Show another picture, or none: do the answers follow what is shown?"""

from collections.abc import Sequence
from functools import partial
from itertools import product

from PIL import Image

from eval.faithfulness.album import Album
from eval.faithfulness.evidence import Evidence, Findings, Probe, Shown
from eval.faithfulness.inquiry import Face, Inquiry
from eval.faithfulness.measured import Number
from facevlm.metrics import set_f1

_COLOURS = {"grey": (128, 128, 128), "black": (0, 0, 0), "white": (255, 255, 255)}
_UNTOLD = "no face has a readable answer and a labelled emotion"
_NO_BLANK = "the grey picture got no readable emotion"
_NO_PAIR = "no two faces of different people with readable answers and different labels"


def _blank(face: Face, colour: tuple[int, int, int], album: Album) -> tuple[Image.Image, ...]:
    return tuple(Image.new("RGB", picture.size, colour) for picture in album.pictures(face.record))


def _asks(face: Face) -> tuple[str, int]:
    """What a face without its pictures comes down to: the question, and how many pictures there are."""
    return face.text(), len(face.record.pictures)


def _blanks(evidence: Evidence) -> dict[tuple[str, int], Face]:
    """The faces in whose place blank pictures are shown: one for each question, in that face's size."""
    found: dict[tuple[str, int], Face] = {}
    for face in evidence.faces:
        if evidence.reading(face) is not None:
            found.setdefault(_asks(face), face)
    return found


def _differs(face: Face, other: Face) -> bool:
    """Whether two faces are labelled with different emotions; where none are, with different AUs."""
    if face.record.emotion is not None and other.record.emotion is not None:
        return face.record.emotion != other.record.emotion
    return bool(face.record.aus and other.record.aus) and face.record.present_aus != other.record.present_aus


def _partners(evidence: Evidence) -> list[Face | None]:
    def fits(face: Face) -> Face | None:
        same = face.text()
        return evidence.another(face, lambda other: other.text() == same and evidence.claims(other) is not None
                                and _differs(face, other), "picture")  # fmt: skip

    return [fits(face) if evidence.claims(face) is not None else None for face in evidence.faces]


def _ask(evidence: Evidence) -> list[Inquiry]:
    # Another person's picture needs no question: asked in the same words, its answer is that person's plain one.
    return [Inquiry(face=face, name=f"blank:{name}", picture=partial(_blank, face, colour))
            for face in _blanks(evidence).values() for name, colour in _COLOURS.items()]  # fmt: skip


def _same(a: str | None, b: str | None) -> float | None:
    return None if a is None or b is None else float(a == b)


def _score(evidence: Evidence) -> Findings:
    faces, blanks, partners = evidence.faces, _blanks(evidence), _partners(evidence)
    shown_blank = [blanks.get(_asks(face)) for face in faces]
    gold = [face.record.emotion for face in faces]
    own = [evidence.emotion(face) for face in faces]
    blind = [None if face is None else evidence.emotion(face, "blank:grey") for face in shown_blank]
    theirs = [None if face is None else evidence.emotion(face) for face in partners]
    pairs = [(face, partner) for face, partner in zip(faces, partners, strict=True) if partner is not None]
    values: dict[str, tuple[list[float | None], str]] = {
        "accuracy": (_marks(own, gold), _UNTOLD),
        "blind_accuracy": (_marks(blind, gold), _NO_BLANK),
        "as_blind": ([_same(a, b) for a, b in zip(own, blind, strict=True)], _NO_BLANK),
        "same_as_other": ([_same(a, b) for a, b in zip(own, theirs, strict=True)], _NO_PAIR),
    }
    numbers = {name: evidence.measure(faces, some, lacking) for name, (some, lacking) in values.items()}
    return Findings(numbers | _overlaps(evidence, pairs), _said_of_blanks(evidence, list(blanks.values())))


def _marks(answers: Sequence[str | None], gold: Sequence[str | None]) -> list[float | None]:
    """Right or wrong, where an emotion is labelled and one was answered."""
    return [None if truth is None or said is None else float(said == truth)
            for said, truth in zip(answers, gold, strict=True)]  # fmt: skip


def _overlaps(evidence: Evidence, pairs: Sequence[tuple[Face, Face]]) -> dict[str, Number]:
    """How alike the AU lists about two people are, and the labels."""
    said: list[float | None] = []
    true: list[float | None] = []
    for face, other in pairs:
        known = set(face.record.labelled_aus) & set(other.record.labelled_aus)
        ours, theirs = evidence.claims(face) or frozenset(), evidence.claims(other) or frozenset()
        said.append(set_f1(ours, theirs, known or None))
        true.append(set_f1(face.record.present_aus, other.record.present_aus, known) if known else None)
    shown = [face for face, _ in pairs]
    return {"au_overlap": evidence.measure(shown, said, _NO_PAIR),
            "au_overlap_truth": evidence.measure(shown, true, "no such two faces have labels for one action unit")}


def _said_of_blanks(evidence: Evidence, faces: Sequence[Face]) -> dict[str, list[dict[str, object]]]:
    rows: list[dict[str, object]] = []
    for face, name in product(faces, _COLOURS):
        if (reading := evidence.reading(face, f"blank:{name}")) is not None:
            listed = "unreadable" if reading.claims is None else ", ".join(f"AU{n}" for n in sorted(reading.claims))
            said = reading.answer.emotion or ("unreadable" if face.labels else "not asked")
            rows.append({"Picture": name, "Emotion": said, "AUs claimed": listed or "none"})
    return {"Said about blank pictures": rows[:12]} if rows else {}


PICTURE = Probe(
    title="Do the answers follow the picture?",
    doc="A grey picture in place of the face: what is answered then is what the words of the question alone bring "
    "forth. And another person's picture, whose labels differ: asked in the same words, the answer should be another. "
    "What is said about other people is known already: only blank pictures are asked about, once for each question.",
    source="answering without the picture after Goyal et al. 2017, CVPR (the language-only baseline of VQA v2); the "
    "rest: ours",
    numbers={
        "accuracy": Shown("Emotion right", "share of the labelled faces with a readable emotion"),
        "blind_accuracy": Shown("… if the grey picture's answer were given", "the share right without looking"),
        "as_blind": Shown("Answered as to a grey picture", "share of the faces"),
        "same_as_other": Shown("Answered as to another person's picture", "whose label differs; 0 if always right"),
        "au_overlap": Shown("AUs shared with the other's answer", "F1 of the lists, over what is labelled on both"),
        "au_overlap_truth": Shown("… with the other's labels", "F1 of what is labelled on both"),
    },
    ask=_ask,
    score=_score,
)
