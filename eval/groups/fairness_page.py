"""fairness.html: dots with intervals by subgroup, the gaps in words, and what moves where only the trait changes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.groups.rates import title
from eval.pages.drawing import dots
from eval.pages.figures import METRICS, decimal, signed
from eval.pages.markup import definitions, escaped, listed, scroll
from eval.pages.sheet import section, sheet, write_sheet

Row = Mapping[str, Any]
LEVEL = 0.05
"""Below this corrected p a gap is said to be more than chance."""

NOTE = ("Dots are values, whiskers 95 % intervals resampled by subject, the dashed line the value over all faces. "
        "A gap is the highest minus the lowest subgroup: it is above 0 by chance alone, so look at its p, corrected "
        "by Holm for all that is tested. Subgroups may show other expressions: compare recall and false alarms class "
        "by class before you call a gap in accuracy unfair.")  # fmt: skip


def brackets(interval: Sequence[float] | None) -> str:
    """ "[0.412, 0.468]"; nothing where there is no interval."""
    return "" if interval is None else f"[{decimal(interval[0])}, {decimal(interval[1])}]"


def _words(name: str) -> str:
    """An attribute as it is written on a page."""
    return name.replace("_", " ")


def gap_in_words(gap: Row) -> str:
    """ "Emotion accuracy by gender: 0.081 [0.02, 0.14] between male (highest) and female (lowest), p 0.012 …"."""
    start = f"{title(gap['measure'])} by {_words(gap['factor'])}: "
    if gap["gap"] is None:
        return f"{start}no gap, {gap['why']}"
    text = f"{start}{decimal(gap['gap'])} {brackets(gap['ci95'])}".rstrip()
    text += f" between {gap['highest']} (highest) and {gap['lowest']} (lowest)"
    if gap["worst_minus_overall"] is not None:
        text += f"; {gap['worst']} against all {signed(gap['worst_minus_overall'])} {brackets(gap['worst_ci95'])}"
    if gap["p_holm"] is not None:
        text += f"; p {gap['p']:.2g}, {gap['p_holm']:.2g} after Holm"
    return text + (f" ({gap['why']})" if gap["why"] else "")


def clear(gaps: Sequence[Row]) -> list[Row]:
    """The gaps that are more than chance, the widest first."""
    return sorted((g for g in gaps if g["p_holm"] is not None and g["p_holm"] < LEVEL), key=lambda g: -g["gap"])


def verdict(result: Mapping[str, Any]) -> str:
    """What was found, in a few sentences."""
    text = f"{result['run']}: "
    if result["untested"]:
        text += f"nothing to test: {result['untested']}. "
    elif not result["by"]:
        text += "the records carry nothing to compare by. "
    elif not result["tests"]:
        text += "no gap could be tested. "
    else:
        found = clear(result["gaps"])
        text += f"{len(found)} of {result['tests']} gaps in the headline metrics are more than chance at p < {LEVEL}" \
            " after Holm's correction"  # fmt: skip
        text += f"; the widest: {gap_in_words(found[0])}. " if found else ", which does not show that there are none. "
    if result["class_tests"]:
        text += f"Class by class, {len(clear(result['class_gaps']))} of {result['class_tests']}. "
    if (smallest := result["smallest"]) is not None:
        name = f"{_words(smallest['factor'])} {smallest['subgroup']}"
        text += f"The smallest subgroup is {name} with {smallest['n']} faces. "
    pairs = result["counterfactual"]
    if pairs is not None and pairs["moved"] and (first := pairs["moved"][0])["value"] is not None:
        text += f"Where only {_words(pairs['changed'])} changes, the {first['what']} moves in " \
            f"{decimal(first['value'])} {brackets(first['ci95'])} of {first['n']} groups. "  # fmt: skip
    return text.strip()


def _scale(measure: str, rows: Sequence[Row]) -> tuple[float, float]:
    metric = METRICS.get(measure)
    low = metric.low if metric else 0.0
    if metric is None or metric.high is not None:
        return low, 1.0 if metric is None or metric.high is None else metric.high
    ends = [x for row in rows for x in (row["value"], *(row["ci95"] or ())) if x is not None]
    return low, max(ends, default=1.0) or 1.0


def _lines(rows: Sequence[Row], overall: float | None, scale: tuple[float, float]) -> str:
    drawn = ""
    for row in rows:
        small = row["value"] is None
        said = escaped(row["why"]) if small else f"{brackets(row['ci95'])} {escaped(row['why'] or '')}".strip()
        drawn += (
            f'<tr{" class=small" if small else ""}><th scope="row">{escaped(row["subgroup"])}</th>'
            f'<td class="n">{row["n"]}</td><td class="n people">{row["people"]}</td>'
            f'<td class="wide">{dots(row["value"], row["ci95"], overall, *scale)}</td>'
            f'<td class="n">{decimal(row["value"])}</td><td class="ci">{said}</td></tr>'
        )
    return drawn


def tables(rows: Sequence[Row], overall: Mapping[str, float | None], crossed: bool) -> str:
    """A table for each measure and factor; what is crossed stands in a fold that opens."""
    drawn = ""
    for measure in dict.fromkeys(row["measure"] for row in rows):
        mine = [row for row in rows if row["measure"] == measure]
        scale = _scale(measure, mine)
        inside = ""
        for factor in dict.fromkeys(row["factor"] for row in mine):
            if (" x " in factor) != crossed:
                continue
            body = _lines([row for row in mine if row["factor"] == factor], overall.get(measure), scale)
            head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in (
                (escaped(_words(factor)), ""), ("Faces", "n"), ("People", "n people"), ("", "wide"), ("Value", "n"),
                ("95 %", "ci")))  # fmt: skip
            table = f'<table class="compared"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            inside += scroll(f"{title(measure)} by {factor}", table)
        if inside and crossed:
            drawn += f"<details><summary>{escaped(title(measure))}</summary>{inside}</details>"
        elif inside:
            drawn += f"<h3>{escaped(title(measure))}</h3>{inside}"
    return drawn


def _gap_section(result: Mapping[str, Any]) -> str:
    tested = [gap_in_words(gap) for gap in result["gaps"] if gap["measure"] in result["tested"]]
    found = clear(result["class_gaps"])
    text = "<h3>Class by class, beyond chance</h3>" + listed([gap_in_words(g) for g in found]) if found else ""
    return section("Gaps", listed(tested), text)


def _pairs_section(pairs: Row | None) -> str:
    if pairs is None:
        return ""
    if not pairs["groups"]:
        changed = "No group of faces can be compared:"
    else:
        changed = f"In {pairs['groups']} groups of faces that differ in nothing but {_words(pairs['changed'])}:"
    lines = [f"{row['what']}: {decimal(row['value'])} {brackets(row['ci95'])} over {row['n']} groups"
             + ("" if row["what"] == "AUs that differ" else " move")
             for row in pairs["moved"] if row["value"] is not None]  # fmt: skip
    left = [f"left out: {n} x {why}" for why, n in pairs["left_out"].items() if why != "face in no group"]
    if pairs["unreadable"]:
        left += [f"in {pairs['unreadable']} of {pairs['groups']} groups no answer can be read: they say nothing"]
    return section("Where only the trait changes", f'<p class="note">{escaped(changed)}</p>', listed(lines + left))


def page(result: Mapping[str, Any]) -> str:
    """The HTML of what fairness.json holds."""
    overall = {gap["measure"]: gap["overall"] for gap in (*result["gaps"], *result["class_gaps"])}
    kept = ("benchmark", "protocol", "model", "mode", "task", "reader", "engine", "n", "n_subjects", "least",
            "bootstrap")  # fmt: skip
    facts = [(key.replace("_", " "), result[key]) for key in kept if result[key] is not None]
    missing = [f"{n} faces say nothing about {name}" for name, n in result["not_stated"].items()]
    return sheet(
        f"{result['run']} by subgroup", verdict(result), "" if result["untested"] else NOTE, _gap_section(result),
        section("By subgroup", tables(result["subgroups"], overall, crossed=False)),
        section("Two attributes crossed", tables(result["subgroups"], overall, crossed=True)),
        _pairs_section(result["counterfactual"]),
        section("Recall and false alarms", tables(result["classes"], overall, crossed=False)),
        section("To know beside the numbers", listed([*missing, *result["caveats"], *result["run_caveats"]])),
        section("How this was obtained", definitions(facts, "provenance")),
    )  # fmt: skip


def write_page(path: Path, result: Mapping[str, Any]) -> None:
    """Write `page` as one whole file."""
    write_sheet(path, page(result))
