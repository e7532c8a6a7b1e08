"""The numbers of a report page: scores, what must be known beside them, and the tables behind them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eval.frame.statistic import Metric
from eval.pages.drawing import bar
from eval.pages.figures import METRICS, Run, decimal, difference_in_words, in_brackets, shown_metrics
from eval.pages.lines import Figure, Line, figures
from eval.pages.markup import escaped, scroll


def _bar(summary: Mapping[str, Any], metric: str) -> str:
    """The bar of a metric over its scale; none where the scale has no end."""
    shown, value, interval = METRICS[metric], summary.get(metric), summary["ci95"].get(metric, ())
    if shown.high is None:
        return ""
    width, low = shown.high - shown.low, shown.low
    ends = [None if x is None else (x - low) / width for x in interval]
    return bar(None if value is None else (value - low) / width, ends)


def _note(metric: Metric) -> str:
    return metric.note + ("; lower is better" if metric.best == "low" else "")


def score_tiles(run: Run, of: Callable[[str], bool] = lambda name: True) -> str:
    """The metrics of one run that `of` takes, a tile each."""
    tiles = [
        f'<div class="tile"><dt>{metric.title}</dt><dd><span class="big">{decimal(run.summary[name])}</span> '
        f'<span class="ci">{in_brackets(run.summary, name)}</span>{_bar(run.summary, name)}'
        f'<span class="note">{_note(metric)}</span></dd></div>'
        for name, metric in shown_metrics([run]).items()
        if of(name)
    ]
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def score_tables(runs: Sequence[Run], of: Callable[[str], bool] = lambda name: True, lacking: str = "") -> str:
    """The metrics of several runs that `of` takes, a table each.

    Args:
        lacking: what is said of a run that has no value.
    """
    return figures([
        Figure(metric.title, _note(metric), [
            Line(run.name, _bar(run.summary, name), decimal(run.summary.get(name)), in_brackets(run.summary, name),
                 why=lacking if run.summary.get(name) is None else "")
            for run in runs])
        for name, metric in shown_metrics(runs).items() if of(name)])  # fmt: skip


def _lacking(run: Run) -> list[str]:
    """Why metrics have no value, those of one reason together."""
    found: dict[str, list[str]] = {}
    for name, why in run.summary["undefined"].items():
        found.setdefault(why, []).append(METRICS[name].title)
    return [f"no {', '.join(names)}: {why}" for why, names in found.items()]


def caveats(runs: Sequence[Run]) -> str:
    """What must be known beside the numbers, and why a metric has none; each once, with the runs that it is about."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for caveat in dict.fromkeys((*run.summary.get("caveats", ()), *_lacking(run), *run.beside.stale)):
            said.setdefault(caveat, []).append(run.name)
    about = {caveat: "" if len(names) == len(runs) else f"{', '.join(names)}: " for caveat, names in said.items()}
    items = "".join(f"<li>{escaped(names + caveat)}</li>" for caveat, names in about.items())
    return f'<h3>To know beside the numbers</h3><ul class="plain">{items}</ul>' if items else ""


def paired_differences(differences: Sequence[Mapping[str, Any]]) -> str:
    """The differences between runs, in words; nothing where there are none."""
    if not differences:
        return ""
    items = "".join(f"<li>{escaped(difference_in_words(d))}</li>" for d in differences)
    return f'<h3>Paired differences</h3><ul class="plain">{items}</ul>'


def facts(runs: Sequence[Run]) -> str:
    """What was scored and what it took, a column a run."""
    rows = {
        "Faces scored": [str(run.summary["n"]) for run in runs],
        "Subjects": [str(run.summary["n_subjects"] or "–") for run in runs],
        "Answers that miss the form": [decimal(run.summary["parse_failure_rate"]) for run in runs],
        "Pictures that cannot be read": [str(run.summary["unreadable_images"]) for run in runs],
        "Images per second": [decimal(run.summary["images_per_second"], 1) for run in runs],
        "Tokens per answer": [decimal(run.summary["tokens_per_image"], 1) for run in runs],
        "Cost per 1,000 images": [decimal(run.summary.get("cost_per_thousand_images"), 2) for run in runs],
    }
    rows = {title: values for title, values in rows.items() if set(values) != {"–"} or title == "Subjects"}
    head = "".join(f'<th scope="col" class="n">{escaped(run.name)}</th>' for run in runs)
    body = "".join(
        f'<tr><th scope="row">{title}</th>{"".join(f"<td class=n>{escaped(v)}</td>" for v in values)}</tr>'
        for title, values in rows.items()
    )
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    return scroll("Facts about the runs", table)


def confusion_matrix(run: Run) -> str:
    """Truth against answer, where one label was asked for."""
    confusion = run.summary.get("confusion")
    if confusion is None:
        return ""
    recalls = {score["label"]: score["recall"] for score in run.summary["per_class"]}
    names = (*confusion["columns"], "recall")
    head = "".join(f'<th scope="col"><span>{escaped(name)}</span></th>' for name in names)
    body = ""
    for label, counts in zip(confusion["rows"], confusion["counts"], strict=True):
        total = sum(counts)
        cells = ""
        for column, count in zip(confusion["columns"], counts, strict=True):
            share = count / total if total else 0.0
            kind = "right" if column == label else "wrong"
            cells += f'<td class="{kind}" style="--v:{share:.3f}">{count or "<i>0</i>"}</td>'
        body += f'<tr><th scope="row">{escaped(label)}</th>{cells}<td class="n">{decimal(recalls[label], 2)}</td></tr>'
    about = '<p class="note">Rows: the truth. Columns: the answer. Shade: share of the row.</p>'
    table = f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
    return about + scroll(f"Confusion matrix of {run.name}", table)


def au_table(run: Run) -> str:
    """Each AU with its F1 and how often it is present."""
    if not run.summary.get("per_au"):
        return ""
    body = "".join(
        f'<tr><th scope="row">AU{score["au"]}</th><td>{escaped(score["name"])}</td>'
        f'<td class="n">{decimal(score["f1"])}</td><td class="wide">{bar(score["f1"])}</td>'
        f'<td class="n">{decimal(score["precision"])}</td><td class="n">{decimal(score["recall"])}</td>'
        f'<td class="n">{score["support"]}</td><td class="n">{score["labelled"]}</td></tr>'
        for score in run.summary["per_au"]
    )
    names = ("AU", "Name", "F1", "", "Precision", "Recall", "Present", "Labelled")
    kinds = ("", "", "n", "wide", "n", "n", "n", "n")
    head = "".join(
        f'<th scope="col" class="{kind}">{name}</th>' if name else f'<td class="{kind}"></td>'
        for name, kind in zip(names, kinds, strict=True)
    )
    table = f'<table class="aus"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return scroll(f"Action units of {run.name}", table)


_DRAWN = ("per_class", "per_au", "reliability", "risk_coverage")
"""The tables that have a drawing of their own."""


def _cell(value: object) -> str:
    if value is None or isinstance(value, float):
        return f'<td class="n">{decimal(value)}</td>'
    return f'<td class="n">{value}</td>' if isinstance(value, int) else f"<td>{escaped(value)}</td>"


def other_tables(run: Run) -> str:
    """What else lies behind the numbers, each list of mappings as a table: per attribute, calibration, …"""
    drawn = ""
    for name, rows in run.summary.items():
        if name in _DRAWN or not (isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows)):
            continue
        title = name.replace("_", " ").replace("au ", "AU ").capitalize()
        head = "".join(f'<th scope="col">{escaped(str(key).upper() if len(key) < 4 else key)}</th>' for key in rows[0])
        body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        drawn += f"<h3>{escaped(title)}</h3>{scroll(f'{title} of {run.name}', table)}"
    return drawn
