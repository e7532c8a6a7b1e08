"""What the words are worth: a few numbers of `eval.faithful`, run beside run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.pages.drawing import bar, dots
from eval.pages.figures import Run, decimal, signed
from eval.pages.lines import Figure, Line, figures
from eval.pages.markup import escaped, link
from eval.probes import PROBES


class _Pick(NamedTuple):
    """A number of a probe, and the one of the same probe to hold it against."""

    probe: str
    number: str
    title: str
    note: str
    against: str = ""
    says: str = ""
    """What the other is."""
    difference: str = ""
    """The number that is the one less the other."""


_PARTS: Mapping[str, Sequence[_Pick]] = {
    "Do the words agree?": (
        _Pick("agreement", "think_au_f1", "Thinking and AU list", "F1 of the action units of both",
              "think_au_f1_chance", "with another person's thinking"),
        _Pick("agreement", "think_answer", "Thinking ends on the answer", "share of the faces whose thinking ends on "
              "an emotion", "think_answer_chance", "with another person's thinking"),
    ),
    "Did it look?": (
        _Pick("swap", "goes", "Claims that go with their region", "share of the action units named that are not any "
              "more, if the same person's face at rest is laid over their region", "goes_elsewhere",
              "if laid elsewhere", "difference"),
        _Pick("cover", "goes", "Claims that go when covered", "share of the action units named that are not any more, "
              "if their region is covered", "goes_elsewhere", "if as much elsewhere is", "difference"),
        _Pick("picture", "as_blind", "Answered as to a grey picture", "share of the faces; 0 is best"),
        _Pick("picture", "same_as_other", "Answered as to another person's picture", "share of the faces, the other "
              "having another label; 0 if always right"),
    ),
    "Does the reasoning matter?": (
        _Pick("reasoning", "other_follows", "Follows another's thinking", "share that give the other's answer, if the "
              "thinking about another person's face is put before it: the words outweigh the picture"),
        _Pick("reasoning", "denied_changes", "Changes with its action units denied", "share that give another answer "
              "behind a thinking that denies what its own claimed"),
        _Pick("reasoning", "fast_changes", "Changes without thinking", "share that give another answer if asked not "
              "to think"),
        _Pick("reasoning", "gain", "Gain by thinking", "emotions right with thinking, less those without; dashed: 0"),
    ),
}
"""The numbers that are shown, by the question they answer."""

_NOTE = ("Dashed line: what a number is to be held against. For the reasoning neither end is good in itself: an "
         "answer that never moves makes it an ornament, one that follows any reasoning does not look.")  # fmt: skip


def _brackets(number: Mapping[str, Any]) -> str:
    low, high = number.get("ci95", (None, None))
    return "" if low is None else f"[{decimal(low)}, {decimal(high)}]"


def _line(run: Run, pick: _Pick) -> Line:
    found = run.beside.faithful
    if found is None:
        return Line(run.name, why="not looked at: run eval.faithful")
    if pick.probe not in found["probes"]:
        return Line(run.name, why=f"probe {pick.probe} was not run")
    numbers = found["probes"][pick.probe]
    number = numbers[pick.number]
    if (value := number["value"]) is None:
        return Line(run.name, why=f"nothing to test: {number['why']}")
    other, apart = numbers.get(pick.against, {}), numbers.get(pick.difference, {})
    under = [f"{decimal(other['value'])} {pick.says}"] if other.get("value") is not None else []
    under += [f"difference {signed(apart['value'])} {_brackets(apart)}"] if apart.get("value") is not None else []
    people = "" if number["people"] == number["n"] else f" of {number['people']} people"
    under.append(f"n = {number['n']}{people}")
    if PROBES[pick.probe].numbers[pick.number].low < 0:
        drawn, said = dots(value, number["ci95"] if number["ci95"][0] is not None else None, 0, -1, 1), signed(value)
    else:
        drawn, said = bar(value, number["ci95"], other.get("value")), decimal(value)
    return Line(run.name, drawn, said, _brackets(number), "; ".join(under))


def worth_section(runs: Sequence[Run]) -> str:
    """The section of a page; nothing where no run was looked at by `eval.faithful`."""
    if not any(run.beside.faithful for run in runs):
        return ""
    drawn = ""
    for question, picks in _PARTS.items():
        asked = [pick for pick in picks if any(pick.probe in (run.beside.faithful or {"probes": ()})["probes"]
                                               for run in runs)]  # fmt: skip
        some = [Figure(pick.title, pick.note, [_line(run, pick) for run in runs]) for pick in asked]
        drawn += f'<h3 class="part">{question}</h3>{figures(some)}' if some else ""
    faces = next(run.beside.faithful["faces"] for run in reversed(runs) if run.beside.faithful)
    links = [link(run.name, run.beside.links["faithful"]) for run in runs if "faithful" in run.beside.links]
    more = f'<p class="note">All numbers, with the pictures: {", ".join(links)}.</p>' if links else ""
    return (f'<section><h2>What are the words worth?</h2><p class="note">{faces} of the faces, asked further. '
            f"{escaped(_NOTE)}</p>{drawn}{more}</section>")  # fmt: skip
