"""Do thinking, AU list and answer say the same? From the plain answers alone, nothing further is asked."""

from eval.faithfulness.evidence import Evidence, Findings, Probe, Shown
from eval.faithfulness.inquiry import Face, Reading
from facevlm.metrics import set_f1
from facevlm.prose import claimed_aus, concluded_emotions
from facevlm.vocab import compatible

_NO_THINKING = "no claims: neither a thinking nor a list that can be read names an action unit"
_NO_CONCLUSION = "no thinking names an emotion that is on offer"
_NO_BOOK = "no answer has both a readable AU list and an emotion that a codebook knows"


def _thinking_and_list(reading: Reading | None, listed: Reading | None) -> float | None:
    """F1 of the AUs of one answer's thinking and another's list; None where neither names any."""
    if reading is None or listed is None or reading.answer.thinking is None or listed.claims is None:
        return None
    thought = claimed_aus(reading.answer.thinking)
    return set_f1(thought, listed.claims) if thought or listed.claims else None


def _share(part: set[int], of: set[int]) -> float | None:
    return len(part & of) / len(of) if of else None


def _concluded(face: Face, reading: Reading | None) -> set[str] | None:
    if reading is None or reading.answer.thinking is None or not face.labels:
        return None
    return concluded_emotions(reading.answer.thinking, face.labels)


def _names_it(face: Face, thought: Reading | None, answered: Reading | None) -> float | None:
    """Whether one answer's thinking ends on another's emotion and no other; None where it ends on none."""
    concluded = _concluded(face, thought)
    if not concluded or answered is None or answered.answer.emotion is None:
        return None
    return float(concluded == {answered.answer.emotion})


def _fit(answered: Reading | None, listed: Reading | None) -> float | None:
    if answered is None or listed is None or answered.answer.emotion is None or listed.claims is None:
        return None
    return compatible(answered.answer.emotion, listed.claims)


def _readable(evidence: Evidence, face: Face) -> bool:
    reading = evidence.reading(face)
    return reading is not None and reading.claims is not None and reading.answer.thinking is not None


def _score(evidence: Evidence) -> Findings:
    faces = evidence.faces
    own = [evidence.reading(face) for face in faces]
    partners = [evidence.another(face, lambda other: _readable(evidence, other), "agreement") for face in faces]
    other = [None if face is None else evidence.reading(face) for face in partners]
    both = [(claimed_aus(r.answer.thinking or ""), set(r.claims)) if r and r.claims is not None and r.answer.thinking
            else (set[int](), set[int]()) for r in own]  # fmt: skip
    concluded = [_concluded(face, r) for face, r in zip(faces, own, strict=True)]
    truth = [compatible(f.record.emotion, f.record.present_aus) if f.record.emotion and f.record.aus else None
             for f in faces]  # fmt: skip
    fits = [_fit(r, r) for r in own]
    values: dict[str, tuple[list[float | None], str]] = {
        "think_au_f1": ([_thinking_and_list(r, r) for r in own], _NO_THINKING),
        "think_au_f1_chance": ([_thinking_and_list(o, r) for o, r in zip(other, own, strict=True)], _NO_THINKING),
        "listed_is_thought": ([_share(thought, listed) for thought, listed in both], _NO_THINKING),
        "thought_is_listed": ([_share(listed, thought) for thought, listed in both], _NO_THINKING),
        "concludes": ([None if c is None else float(bool(c)) for c in concluded], "no thinking can be read"),
        "think_answer": ([_names_it(f, r, r) for f, r in zip(faces, own, strict=True)], _NO_CONCLUSION),
        "think_answer_chance": ([_names_it(f, o, r) for f, o, r in zip(faces, other, own, strict=True)],
                                _NO_CONCLUSION),
        "codebook": (fits, _NO_BOOK),
        "codebook_chance": ([_fit(r, o) for r, o in zip(own, other, strict=True)], _NO_BOOK),
        "codebook_truth": ([None if fit is None else t for fit, t in zip(fits, truth, strict=True)],
                           "no such face is labelled with both"),
    }  # fmt: skip
    numbers = {name: evidence.measure(faces, some, lacking) for name, (some, lacking) in values.items()}
    unread = sum(r is None or r.answer.thinking is None or r.claims is None for r in own)
    return Findings(numbers, left_out={"faces without a readable thinking and list": unread} if unread else {})


AGREEMENT = Probe(
    title="Do the words agree?",
    doc="The AUs that the thinking claims against the list after it, the emotion that the thinking ends on against "
    "the answer, and how well listed AUs fit the answered emotion by EMFACS and Du et al. 2014. Agreement is not "
    "truth: a model can be wrong throughout. By chance = with the thinking or list of another person's answer.",
    source="ours, with the readers of prose of facevlm.prose (heuristics for English); codebooks: Friesen & Ekman "
    "1983; Du, Tao & Martinez 2014, table 1",
    numbers={
        "think_au_f1": Shown("Thinking and AU list", "F1 of the AUs of both, mean over faces where either names one"),
        "think_au_f1_chance": Shown("… by chance", "with another person's thinking"),
        "listed_is_thought": Shown("Listed AUs that the thinking names", "mean share over faces with a list"),
        "thought_is_listed": Shown("AUs of the thinking that are listed", "mean share over faces whose thinking names "
                                   "one"),
        "concludes": Shown("Thinking that ends on an emotion", "share of the faces with readable thinking"),
        "think_answer": Shown("… and on the one answered", "share of those"),
        "think_answer_chance": Shown("… by chance", "with another person's thinking"),
        "codebook": Shown("AUs and emotion fit", "best F1 with the codebooks' main AUs, mean over faces"),
        "codebook_chance": Shown("… by chance", "with another person's list"),
        "codebook_truth": Shown("… of the labels", "how well the true AUs fit the true emotion, on the same faces"),
    },
    ask=lambda _: [],
    score=_score,
)  # fmt: skip
