"""The page docs/evaluation.md: how models are scored, with every protocol and metric from the code.

    python -m eval.catalogue > docs/evaluation.md
"""

import sys
from pathlib import Path

from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import Benchmark, Protocol, find_aus
from eval.frame.statistic import Metric
from eval.readers import READERS
from eval.scores import SCORES
from facevlm.tasks import TASKS

_TESTED = {
    "test": "split `test`",
    "val": "split `val`",
    "folds": "split `test` of each of the owner's folds",
    "subjects": "every face, leaving one person out",
}
_METRICS: dict[str, Metric] = {name: metric for scorer in SCORES.values() for name, metric in scorer.metrics.items()}

_PAGE = """\
# Evaluation

Made by `python -m eval.catalogue > docs/evaluation.md`; do not edit. A number compares with another only if both
come from one **protocol**: the AUs and the intensity from which one counts, the classes, the faces tested, what is
asked and how the answer is read. So each has a name, and stands in every result.

```
python -m eval.run --config configs/eval/disfa.yaml protocol=disfa-8 model=runs/grpo out=runs/eval/disfa
```

`benchmark` names a data set and `protocol` one of its protocols (by default the first); `records` is a folder made by
`data_builders.build` from that data set, and any other is refused; where a benchmark is over several sets, name their
folders with commas between. `benchmark=table` takes any records. A protocol of your own is an
`eval.frame.benchmark.Benchmark`, named as `package.module:attribute`.

Which split a set's readers call test, and where the owners give none, is told in [datasets.md](datasets.md); what is
known against comparing a number with a published one stands below each table, and in every result. The papers' own
numbers are often by other readings of the text, other faces or a checkpoint chosen on the test: where that is not
stated here, it was not stated where we looked.

## What is written
`summary.json` holds every metric with its 95 % interval (`ci95`), resampled by person where people are known; `n`,
`n_by_class`; `parse_failure_rate`; `caveats`, what must be known beside the number (a class that no face has, few
faces, answers nobody could read, a test that is not whole); for a metric without a value, null, and under `undefined`
the reason; model, engine, versions, prompt, pixel budget, mode, reader; tokens and images per second, and with
`price_per_million_tokens` the cost. `predictions.jsonl` and `predictions.parquet` hold one row a face, `report.html`
is a page to look at. Killed and started again, a run asks only what it has no answer to.

## What is always so
- A picture that cannot be read is left out for every model alike, and counted. An answer that cannot be read is wrong:
  a missed AU, a wrong label, and for numbers the end of the scale that is farther from the truth.
- Labels are read strictly from the answer form; other readers are for models that were never
  told it, and say so.
- An AU that nobody labelled is neither right nor wrong. Means over AUs or classes are over those that occur in the
  truth: which these are never depends on the model.
- In questions of one label (`mode=label`), the probability of each label on offer is told too, by vLLM and
  transformers alike: the model is held to `<answer>label</answer>`, and where the tokens of the labels part, its
  next-token probabilities are renormalised over those that lead to a label. What the model finds likely while it
  writes its answer is that already, so only labels that part elsewhere are asked about a second time. From it come
  ECE, the Brier score and the risk-coverage curve. `probabilities=false` leaves it out.
- Where reasons or AUs come first, `confidence=true` takes the same probabilities from the writing of the answer, at
  the place of the label: how sure the model was of what it ended on, after its own words. Answers without a label, or
  whose label that writing does not tell from all others, have none; `n` in `reliability` counts the rest.
- `url` asks a model behind an OpenAI-compatible endpoint (`model` is its name there, `api_key_env` names the variable
  that holds the key); the pictures leave the machine. A question that fails for good is a row with an `error`: left
  out with a caveat, and asked again when the run is started again. An endpoint that refuses or goes away ends the
  run, with all that it answered kept. It tells no probabilities.
- Where a face is asked several things (CelebA, EmoNet-Face HQ), each question is a row, its id the face's id, `::` and
  what is asked; the questions of a face are resampled together, and `n` counts questions.
- Folds: a model that never saw the set is run once over all people, and `over_folds` gives each fold and their mean,
  as papers do. A model tuned on two folds is run with `fold=k` on the third; `eval.pool` lays such runs together.

{others}
## Protocols
{protocols}
## Metrics
| scored | metric | what it is |
|---|---|---|
{metrics}
"""


def _asked(protocol: Protocol) -> str:
    if protocol.task:
        return TASKS[protocol.task].asks
    return {"emotion": "emotion", "aus": "action units"}[protocol.scores[0]] if len(protocol.scores) == 1 else \
        "emotion, action units"  # fmt: skip


def _scored(protocol: Protocol) -> str:
    aus = find_aus(protocol.aus)
    if aus is not None:
        threshold = "" if protocol.scores == ("intensity",) else f" at intensity >= {aus.threshold}"
        return f"{len(aus.aus)} AUs{threshold}" + (f", {len(protocol.labels)} classes" if protocol.labels else "")
    return f"{len(protocol.labels)} classes" if protocol.labels else "what is labelled"


def _tested(protocol: Protocol, anywhere: bool) -> str:
    if anywhere:
        return "split `test` of the records"
    folds = f"{len(protocol.folds)} folds by person" if protocol.folds else _TESTED[protocol.tested]
    return folds + (f" ({protocol.faces:,} faces)" if protocol.faces else "")


def _about(benchmark: Benchmark, caveat: str) -> str:
    """The protocols that a caveat is about, where it is not about all."""
    some = [p.name for p in benchmark.protocols if caveat in p.caveats]
    return "" if len(some) == len(benchmark.protocols) else f"{', '.join(f'`{name}`' for name in some)}: "


def _section(benchmark: Benchmark) -> str:
    cells = [(f"`{p.name}`", p.doc, _asked(p), _scored(p), _METRICS[p.headline].title,
              _tested(p, not benchmark.sources), p.source) for p in benchmark.protocols]  # fmt: skip
    rows = "\n".join(f"| {' | '.join(row)} |" for row in cells)
    caveats = "".join(f"\n- {_about(benchmark, caveat)}{caveat}."
                      for caveat in dict.fromkeys(c for p in benchmark.protocols for c in p.caveats))  # fmt: skip
    sources = ", ".join(f"`{name}`" for name in benchmark.sources) or "any source"
    table = ", ".join(f"`{name}`" for name in benchmark.by_table)
    built = f" Without a reader, and so built with `source=table`: {table}." if table else ""
    return (f"### {benchmark.title} (`benchmark={benchmark.name}`)\nRecords of {sources}.{built}\n\n"
            "| protocol | what a score means | asked | scored | headline | tested | defined by |\n"
            f"|---|---|---|---|---|---|---|\n{rows}\n{caveats}" + "\n" * bool(caveats))  # fmt: skip


def page() -> str:
    """The page docs/evaluation.md."""
    metrics = "\n".join(
        f"| {kind} | {metric.title} (`{name}`) | {metric.note}{'; lower is better' * (metric.best == 'low')} |"
        for kind, scorer in SCORES.items()
        for name, metric in scorer.metrics.items()
    )
    readers = "\n".join(f"| `{name}` | {reader.doc} | {reader.source} |" for name, reader in READERS.items())
    others = Path(__file__).with_name("others.md").read_text().replace("{readers}", readers)
    return _PAGE.format(others=others, protocols="\n".join(map(_section, BENCHMARKS.values())), metrics=metrics)


if __name__ == "__main__":
    sys.stdout.write(page())
