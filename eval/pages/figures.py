"""The numbers of a run in words: text tables, intervals, differences, one sentence on what a model does."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eval.frame.beside import Beside
from eval.frame.predictions import Prediction
from eval.frame.statistic import Metric
from eval.scores import SCORES

METRICS: dict[str, Metric] = {name: metric for scorer in SCORES.values() for name, metric in scorer.metrics.items()}
"""How each metric is shown."""


class Run(NamedTuple):
    """One evaluated model: its name on the page, what summary.json holds, its answers."""

    name: str
    summary: Mapping[str, Any]
    rows: Sequence[Prediction]
    beside: Beside = Beside()
    """What other commands found about it."""


def decimal(value: float | None, digits: int = 3) -> str:
    """The number as it is printed; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None) -> str:
    """The number with its sign."""
    return decimal(value) if value is None or value < 0 else f"+{decimal(value)}"


def in_brackets(summary: Mapping[str, Any], metric: str) -> str:
    """ "[0.412, 0.468]", the 95 % interval; nothing where there is none."""
    low, high = summary["ci95"].get(metric, (None, None))
    return "" if low is None or high is None else f"[{decimal(low)}, {decimal(high)}]"


def shown_metrics(runs: Sequence[Run]) -> dict[str, Metric]:
    """The metrics to show: those that any run has a value for."""
    return {name: metric for name, metric in METRICS.items() if any(run.summary.get(name) is not None for run in runs)}


def headline(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The few numbers that matter as a plain text table, one line a run."""
    there = [m for m in METRICS if any(s.get(m) is not None for _, s in runs)]
    usual = ("emotion_accuracy", "emotion_uar", "au_macro_f1", *(s.get("headline") for _, s in runs), "ece")
    metrics = [m for m in there if m in usual]
    table = [["", "faces", *(METRICS[m].title for m in metrics), "at fault", "images/s"]]
    for name, summary in runs:
        numbers = [f"{decimal(summary.get(m))} {in_brackets(summary, m)}".strip() for m in metrics]
        failed, speed = summary["parse_failure_rate"], summary["images_per_second"]
        table.append([name, str(summary["n"]), *numbers, decimal(failed), decimal(speed, 1)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{x:<{w}}" for x, w in zip(line, widths, strict=True)).rstrip() for line in table)


def difference_in_words(difference: Mapping[str, Any]) -> str:
    """ "grpo − sft, AU macro-F1: +0.041 [0.012, 0.069]: clearly higher"."""
    value, (low, high) = difference["value"], difference["ci95"]
    start = f"{difference['b']} − {difference['a']}, {METRICS[difference['metric']].title}: "
    start += signed(value)
    if low is None or high is None:
        return start
    verdict = "clearly higher" if low > 0 else "clearly lower" if high < 0 else "no clear difference"
    p = difference.get("p_holm")
    chance = "" if p is None else f", p {'<' if p < 0.001 else '='} {max(p, 0.001):.3f}"
    return f"{start} [{decimal(low)}, {decimal(high)}]: {verdict}{chance}"


def verdict(runs: Sequence[Run], differences: Sequence[Mapping[str, Any]] = ()) -> str:
    """What the last run does, in one sentence."""
    run = runs[-1]
    claims = []
    if (share := run.summary.get("emotion_accuracy")) is not None:
        claims.append(f"names the emotion of {100 * share:.1f} % of {run.summary['n']} faces")
    if (f1 := run.summary.get("au_macro_f1")) is not None:
        claims.append(f"finds action units with a macro-F1 of {decimal(f1)}")
    if not claims and (value := run.summary.get(run.summary["headline"])) is not None:
        claims.append(f"reaches {METRICS[run.summary['headline']].title} {decimal(value)} on {run.summary['n']} faces")
    text = f"{run.name} {' and '.join(claims) or 'was given nothing that can be scored'}"
    whole = [d for d in differences if d["a"] == runs[0].name and d["b"] == run.name and d["value"] is not None]
    steps = [f"{signed(d['value'])} in {METRICS[d['metric']].title.removeprefix('Emotion ')}" for d in whole]
    return text + (f"; against {runs[0].name}, {' and '.join(steps)}." if steps else ".")
