"""Does a model know when it is right? Confidence against truth, and what leaving out the least sure faces is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.pages.figures import Run, decimal
from eval.pages.markup import escaped
from eval.pages.tables import score_tables, score_tiles
from eval.scores.confidence import CONFIDENCE

LITTLE = 10
"""A bin of fewer faces is drawn pale."""
_LEFT, _TOP, _SIDE, _COUNTS = 34, 8, 200, 30
"""The plot in the units of the drawing; below it, as high as `_COUNTS`, how many faces each bin has."""

Row = Mapping[str, Any]


def is_confidence(metric: str) -> bool:
    """Whether a metric is about confidence, and so stands in this section."""
    return metric in CONFIDENCE.metrics


def _at(x: float, y: float) -> tuple[float, float]:
    """Shares 0-1, upwards, in the units of the drawing."""
    return _LEFT + _SIDE * x, _TOP + _SIDE * (1 - y)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'


def _frame(bottom: float, across: str, up: str, top: str = "1") -> str:
    """Ground, ticks and what the axes are."""
    ticks = "".join(_text(_at(x, 0)[0], bottom + 13, text) for x, text in ((0, "0"), (0.5, "0.5"), (1, "1")))
    ticks += _text(_LEFT - 6, _at(0, 0)[1], "0", "end") + _text(_LEFT - 6, _TOP + 8, top, "end")
    middle = _TOP + _SIDE / 2
    side = f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{escaped(up)}</text>'
    ground = f'<rect class="ground" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>'
    return ground + ticks + _text(_LEFT + _SIDE / 2, bottom + 27, across) + side


def _chart(words: str, drawn: str) -> str:
    box = f"0 0 {_LEFT + _SIDE + 6} {_TOP + _SIDE + _COUNTS + 34}"
    return f'<svg class="chart" viewBox="{box}" role="img" aria-label="{escaped(words)}">{drawn}</svg>'


def reliability(run: Run) -> str:
    """The reliability diagram of a run (Guo et al. 2017, ICML, figure 1), with the faces of each bin below."""
    bins: Sequence[Row] = run.summary["reliability"]
    most = max(one["n"] for one in bins)
    drawn, said, floor = "", [], _TOP + _SIDE + _COUNTS + 4
    for one in (one for one in bins if one["n"]):
        x, y = _at(one["from"] + 0.006, one["accuracy"])
        width, little = _SIDE * (one["to"] - one["from"] - 0.012), " little" if one["n"] < LITTLE else ""
        height = _COUNTS * one["n"] / most
        for kind, top, high in ((f"value{little}", y, _SIDE * one["accuracy"]), ("count", floor - height, height)):
            drawn += f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{high:.1f}"/>'
        said.append(f"{one['from']:.1f} to {one['to']:.1f}: {decimal(one['accuracy'], 2)} of {one['n']}")
    (x0, y0), (x1, y1) = _at(0, 0), _at(1, 1)
    drawn += f'<path class="diagonal" d="M{x0} {y0}L{x1} {y1}"/>'
    words = f"Reliability of {run.name}, share right by confidence: {'; '.join(said)}"
    return _chart(words, _frame(floor, "confidence", "share right") + drawn)


def coverage(run: Run, top: float) -> str:
    """The risk-coverage curve of a run (El-Yaniv & Wiener 2010, JMLR 11:1605) on a scale of errors from 0 to `top`."""
    points: Sequence[Row] = run.summary["risk_coverage"]
    drawn, floor = "", _TOP + _SIDE
    places = [_at(one["coverage"], one["risk"] / top) for one in points]
    drawn = f'<path class="curve" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
    x, y = places[-1]
    drawn += f'<circle class="end" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    drawn += _text(x - 4, floor - 8 if y < floor - 24 else _TOP + 16, f"of all, {points[-1]['risk']:.2f} wrong", "end")
    some = (f"{at['coverage']:.2f} answered, {at['risk']:.2f} of them wrong"
            for at in points[:: len(points) // 5 or 1])  # fmt: skip
    words = f"Risk and coverage of {run.name}: {'; '.join(some)}"
    return _chart(words, _frame(floor, "share answered, the surest first", "share wrong", f"{top:.1f}") + drawn)


def _what(run: Run) -> str:
    """What the confidence is."""
    parts = next((row.parts for row in run.rows if row.probabilities is not None), ("answer",))
    text = "Confidence is the probability of the likeliest label, if the model may write one of those on offer only"
    if parts == ("answer",):
        return f"{text}: asked straight away."
    before = " and ".join({"think": "reasoning", "au": "AU list"}[part] for part in parts if part != "answer")
    return (f"{text}, at the place where it wrote its answer: behind its own {before}. A model that has just named an "
            "emotion in its words is sure of it: this is how far what it ends on can be trusted, not how sure it was "
            "at first sight.")  # fmt: skip


def _lacking(run: Run) -> str:
    if run.summary["parse_failure_rate"] == 1:
        return "nothing to test: none of its answers has the form"
    return "nothing to test: the probabilities of its labels were not asked for"


_HOW = ("Bars: what share is right at each confidence; under the dashed line, the model is too sure; pale, fewer than "
        f"{LITTLE} faces; grey, how the faces lie. Curve: what share is wrong if only the surest faces are answered; "
        "if it falls to the left, the model knows what it does not know.")  # fmt: skip


def _charts(run: Run, top: float, heading: bool) -> str:
    head = f"<h3>{escaped(run.name)}</h3>" if heading else ""
    n = sum(one["n"] for one in run.summary["reliability"])
    told = f"{n} of {run.summary['n']} faces; the others have no answer whose label can be read off."
    told = f'<p class="note">{escaped(told)}</p>' if n < run.summary["n"] else ""
    return f'<div>{head}<div class="charts">{reliability(run)}{coverage(run, top)}</div>{told}</div>'


def calibration_section(runs: Sequence[Run]) -> str:
    """The section of a page; nothing where no run has probabilities."""
    there = [run for run in runs if run.summary.get("reliability")]
    if not there:
        return ""
    worst = max(one["risk"] for run in there for one in run.summary["risk_coverage"])
    top = max(0.1, -(-worst * 10 // 1) / 10)
    drawn = "".join(_charts(run, top, len(runs) > 1) for run in there)
    missing = [run for run in runs if run not in there]
    numbers = score_tiles(runs[0], is_confidence) if len(runs) == 1 else \
        score_tables(runs, is_confidence, _lacking(missing[0]) if missing else "")  # fmt: skip
    what, how = (f'<p class="note how">{escaped(text)}</p>' for text in (_what(there[-1]), _HOW))
    return (f'<section><h2>Does it know when it is right?</h2>{what}{numbers}{how}'
            f'<div class="metrics">{drawn}</div></section>')  # fmt: skip
