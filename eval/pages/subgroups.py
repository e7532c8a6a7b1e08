"""By whom is shown: the gaps between subgroups, and what moves where only the trait changes, run beside run."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.pages.drawing import bar, dots
from eval.pages.figures import METRICS, Run, decimal
from eval.pages.lines import Figure, Line, figures
from eval.pages.markup import escaped, link, listed

NOTE = ("A gap is the highest subgroup minus the lowest. It is above 0 by chance alone, so look at its p, corrected "
        "by Holm for all gaps tested; the interval is that of the difference of these two. A gap that is not beyond "
        "chance is not shown to be absent.")  # fmt: skip


def _words(name: str) -> str:
    return name.replace("_", " ")


def _brackets(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{decimal(interval[0])}, {decimal(interval[1])}]"


def _why(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not looked at: run eval.fairness"
    return f"nothing to test: {found['untested']}" if found["untested"] else ""


def _gap_line(run: Run, gap: Mapping[str, Any] | None, low: float, high: float) -> Line:
    found = run.beside.fairness
    if why := _why(found):
        return Line(run.name, why=why)
    if gap is None or gap["gap"] is None:
        return Line(run.name, why="not compared" if gap is None else f"no gap: {gap['why']}")
    sizes = [row["n"] for row in (found or {})["subgroups"]
             if (row["factor"], row["measure"]) == (gap["factor"], gap["measure"])]  # fmt: skip
    chance = "" if gap["p_holm"] is None else f"; p = {gap['p_holm']:.3f}"
    under = f"highest {gap['highest']}, lowest {gap['lowest']}; the smallest of {len(sizes)} has {min(sizes)} " \
        f"faces{chance}"  # fmt: skip
    return Line(run.name, dots(gap["gap"], gap["ci95"], 0, low, high), decimal(gap["gap"]), _brackets(gap["ci95"]),
                under)  # fmt: skip


def _gaps(runs: Sequence[Run]) -> list[Figure]:
    found = [{(gap["measure"], gap["factor"]): gap for gap in (run.beside.fairness or {"gaps": ()})["gaps"]
              if gap["measure"] in (run.beside.fairness or {})["tested"]} for run in runs]  # fmt: skip
    ends = [x for gaps in found for gap in gaps.values() for x in (gap["gap"], *(gap["ci95"] or ())) if x is not None]
    low, high = min([0.0, *ends]), max([0.05, *ends])
    keys = dict.fromkeys(key for gaps in found for key in gaps if " x " not in key[1])
    return [
        Figure(f"{METRICS[measure].title}, gap by {_words(factor)}", f"dots on a scale from {decimal(low, 2)} to "
               f"{decimal(high, 2)}, dashed: 0",
               [_gap_line(run, gaps.get((measure, factor)), low, high) for run, gaps in zip(runs, found, strict=True)])
        for measure, factor in keys
    ]  # fmt: skip


def _moved(run: Run, what: str) -> Line:
    found = run.beside.fairness
    pairs = found and found["counterfactual"]
    if not pairs:
        return Line(run.name, why="not looked at: no run over faces in such groups")
    row = next((row for row in pairs["moved"] if row["what"] == what), None)
    if row is None or row["value"] is None:
        return Line(run.name, why=f"nothing to test: in none of {pairs['groups']} groups can an answer be read")
    return Line(run.name, bar(row["value"], row["ci95"] or ()), decimal(row["value"]), _brackets(row["ci95"]),
                f"of {row['n']} groups")  # fmt: skip


def _flips(runs: Sequence[Run]) -> list[Figure]:
    pairs = [run.beside.fairness["counterfactual"] for run in runs
             if run.beside.fairness and run.beside.fairness["counterfactual"]]  # fmt: skip
    if not pairs:
        return []
    # Averaged over none, a measure is listed all the same: it is of the questions, not of the answers.
    whats = [row["what"] for row in pairs[-1]["moved"] if row["what"] in ("answer", "AU list")]
    changed = " and ".join(sorted({_words(one["changed"]) for one in pairs if one["changed"]}))
    titles = {"answer": "Answer moves", "AU list": "AU list moves"}
    return [Figure(f"{titles[what]} with {changed}", "share of groups of faces that differ in nothing else; 0 is best",
                   [_moved(run, what) for run in runs]) for what in whats]  # fmt: skip


def subgroups_section(runs: Sequence[Run]) -> str:
    """The section of a page; nothing where no run was looked at by `eval.fairness`."""
    if not any(run.beside.fairness for run in runs):
        return ""
    links = [link(run.name, run.beside.links["fairness"]) for run in runs if "fairness" in run.beside.links]
    more = f'<p class="note">All metrics, subgroups and classes: {", ".join(links)}.</p>' if links else ""
    flips = _flips(runs)
    moved = f'<h3 class="part">Where only the trait changes</h3>{figures(flips)}' if flips else ""
    # Without any gap there is no figure that would say why.
    gaps = figures(_gaps(runs)) or listed([f"{run.name}: {why}" for run in runs if (why := _why(run.beside.fairness))])
    return (f'<section><h2>Is it the same for everybody?</h2><p class="note">{escaped(NOTE)}</p>'
            f"{gaps}{moved}{more}</section>")  # fmt: skip
