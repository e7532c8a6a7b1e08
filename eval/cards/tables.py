"""The tables of a model card: scores with intervals, subgroups alone and crossed, gaps, judgements."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.groups.fairness_page import brackets, gap_in_words
from eval.groups.judgement_page import verdict
from eval.groups.rates import title
from eval.leaks.lineage import run_of
from eval.pages.figures import METRICS, Run, decimal, in_brackets
from facevlm.config import ConfigError


def cell(value: object) -> str:
    """A value in one cell of a Markdown table."""
    return " ".join(str(value).replace("|", "\\|").split())


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def results(run: Run) -> str:
    """The metrics of a run with their intervals, and why one has none."""
    summary = run.summary
    rows = [(METRICS[name].title, decimal(summary[name]), in_brackets(summary, name), "")
            for name in METRICS if summary.get(name) is not None]  # fmt: skip
    rows += [(METRICS[name].title, "–", "", why) for name, why in summary["undefined"].items() if name in METRICS]
    under = f"Protocol {summary['protocol']}, {summary['n']} faces, intervals by {summary['ci95_by']}; " \
        f"{decimal(summary['parse_failure_rate'])} of the answers miss the form."  # fmt: skip
    return table(("metric", "value", "95 %", "why none"), rows) + f"\n\n{under}"


def _subgroups(found: Mapping[str, Any], crossed: bool) -> str:
    rows = [(row["factor"], row["subgroup"], row["n"], row["people"], title(row["measure"]), decimal(row["value"]),
             brackets(row["ci95"]) or row["why"] or "") for row in found["subgroups"]
            if row["measure"] in found["tested"] and (" x " in row["factor"]) == crossed]  # fmt: skip
    head = ("factor", "subgroup", "faces", "people", "metric", "value", "95 % or why none")
    return table(head, rows) if rows else ""


def analyses(found: Mapping[str, Any] | None) -> str:
    """Unitary and intersectional results of a run (Mitchell et al. 2019, section 4.7), the gaps, what moves."""
    if found is None:
        return "Unitary and intersectional results: none, since the records carry no attributes to compare by."
    if found["untested"]:
        return f"Unitary and intersectional results: nothing to test, {found['untested']}."
    none = "not stated: the records carry no attributes for it"
    parts = [f"#### Unitary\n\n{_subgroups(found, crossed=False) or none}",
             f"#### Intersectional\n\n{_subgroups(found, crossed=True) or none}"]  # fmt: skip
    gaps = [gap_in_words(gap) for gap in found["gaps"] if gap["measure"] in found["tested"]]
    told = [gap_in_words(gap) for gap in found["class_gaps"] if gap["p_holm"] is not None and gap["p_holm"] < 0.05]
    if gaps:
        each = "\n".join(f"- {text}" for text in gaps)
        parts.append(f"#### Gaps ({found['tests']} tested, corrected by Holm)\n\n{each}")
    if found["class_tests"]:
        each = "\n".join(f"- {text}" for text in told) or "None beyond chance, which does not show that none is there."
        parts.append(f"#### Recall and false alarms, class by class ({found['class_tests']} tested)\n\n{each}")
    if found["smallest"]:
        parts.append("Smallest subgroup: {factor} {subgroup} with {n} faces.".format(**found["smallest"]))
    if (pairs := found["counterfactual"]) is not None:
        moved = "\n".join(f"- {row['what']}: {decimal(row['value'])} {brackets(row['ci95'])}, {row['n']} groups"
                          for row in pairs["moved"])  # fmt: skip
        parts.append(f"#### Where only {pairs['changed']} changes\n\nShare of groups that move:\n\n{moved}")
    return "\n\n".join([*parts, *(f"- {text}" for text in found["caveats"])])


def judgements(folder: Path, model: str) -> str:
    """What a run of `eval.judgement` found.

    Raises:
        ConfigError: there is none, or it is of another model.
    """
    file = folder / "judgement.json"
    if not file.is_file():
        raise ConfigError(f"{folder} has no judgement.json; make it with `python -m eval.judgement`")
    result = json.loads(file.read_text())
    if run_of(result["model"]).resolve() != run_of(model).resolve():
        raise ConfigError(f"{folder} judged with {result['model']}, not {model}: a card is about one model")
    return f"{verdict(result)}\n\n" + "\n".join(f"- {gap_in_words(gap)}" for gap in result["gaps"])
