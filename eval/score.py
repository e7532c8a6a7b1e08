"""Score predictions that were made elsewhere, by a named protocol, with intervals.

    python -m eval.score theirs.csv --benchmark rafdb --records data/rafdb --reader labels --out runs/eval/theirs
    python -m eval.score samples.jsonl benchmark=disfa records=data/disfa reader=lmms-eval match=row out=runs/eval/x

Readers, and what each of them takes for an answer: docs/evaluation.md. Writes what eval.run writes, so that
eval.compare and eval.leaderboard take it beside runs of our own. What does not fit (a face without a prediction, a
prediction without a face, two answers for one face) is refused, or counted and told with the number.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from eval.elsewhere import gold
from eval.elsewhere.given import Given, Source, open_source
from eval.elsewhere.job import ScoreConfig, Truths, open_truth
from eval.elsewhere.matching import Face, Matched, matched
from eval.elsewhere.reading import Asked
from eval.frame.benchmark import face_of, truth
from eval.frame.job import Job, find_reader
from eval.frame.predictions import Prediction, with_truth
from eval.frame.question import Question
from eval.frame.result import write_result
from eval.frame.scoring import over_folds, score
from eval.pages.figures import headline
from eval.run import caveats
from facevlm.config import ConfigError, load, versions, write_resolved
from facevlm.record import whole_file

ENGINE = "elsewhere"
"""What stands in the results for the engine."""
UNKNOWN = "what the model was trained on is not known here: nothing checks whether it saw these faces"


class Scored(NamedTuple):
    """The rows that are scored, and what was found on the way."""

    rows: list[Prediction]
    matched: Matched
    notes: list[str]


def predictions(config: ScoreConfig, source: Source, truths: Truths) -> Scored:
    """Match the rows of the file with the questions, and read them.

    Raises:
        ConfigError: see `matching.matched`; or labels are numbers of no named set.
    """
    units = _units(source, truths.job.questions)
    faces = [Face(face_of(some[0].record.id) if source.table else some[0].record.id, some[0].record.media)
             for some in units]  # fmt: skip
    found = matched(source.names, [source.says(row) for row in source.outputs.rows], faces,
                    [Face(record.id, record.media) for record in truths.others], config.match, config.missing,
                    config.unknown)  # fmt: skip
    rows: list[Prediction] = []
    for i, some in enumerate(units):
        row = source.outputs.rows[found.rows[i]] if i in found.rows else None
        if row is None and config.missing == "skip":
            continue
        rows += [_read(truths.job, source, question, None if row is None else source.given(row, question))
                 for question in some]  # fmt: skip
    _refuse_numbers(config, rows)
    return Scored(rows, found, [*source.outputs.notes, *found.notes, *_notes(source, truths.job, rows)])


def _units(source: Source, questions: Sequence[Question]) -> list[list[Question]]:
    """The questions that one row answers: a table has a column for each, a text answers one."""
    units: dict[object, list[Question]] = {}
    for question in questions:
        name = face_of(question.record.id) if source.table is not None else question.record.id
        units.setdefault((question.record.source, name), []).append(question)
    return list(units.values())


def _read(job: Job, source: Source, question: Question, given: Given | None) -> Prediction:
    row = Prediction(question.record.id, question.record.source, question.record.subject, question.parts,
                     question.task, question.labels)  # fmt: skip
    row = with_truth(row, question.record, truth(question.record, job.aus))
    if given is None:
        return replace(row, faults=("no prediction",))
    answer = source.reader.read(given.text, Asked(question.task, question.parts, question.labels))
    return replace(row, text=given.text, thinking=answer.thinking, aus=answer.aus, value=answer.value,
                   faults=answer.faults, probabilities=given.probabilities)  # fmt: skip


def _refuse_numbers(config: ScoreConfig, rows: Sequence[Prediction]) -> None:
    answers = [row.text.rpartition("<answer>")[2].removesuffix("</answer>") for row in rows
               if row.kind == "label" and "answer" in row.parts and row.text]  # fmt: skip
    if answers and find_reader(config.reader).columns and all(text.lstrip("-").isdecimal() for text in answers):
        raise ConfigError(f"the labels are numbers ({', '.join(sorted(set(answers))[:8])}), which data sets count in "
                          "different orders: set label_ids to the label set they are of, such as rafdb")  # fmt: skip


def _notes(source: Source, job: Job, rows: Sequence[Prediction]) -> list[str]:
    """What was read, from where, and what most often went wrong with it."""
    columns = source.columns if source.table is not None else {"text": source.columns["text"]}
    found = []
    if source.table is None:
        found.append(f"answers are read from column {columns['text']!r}")
    wanted = {"emotion": "answer", "aus": "au"}
    parts = {part for row in rows for part in row.parts}
    found += [f"{kind} is not scored: nothing in the file answers it" for kind in job.protocol.scores
              if kind in wanted and wanted[kind] not in parts and job.config.mode != "label"]  # fmt: skip
    faults = Counter(fault for row in rows for fault in row.faults)
    found += [f"{n} of {len(rows)}: {fault}" for fault, n in faults.most_common(5)]
    return found


def summarise(config: ScoreConfig, job: Job, scored: Scored) -> dict[str, Any]:
    """What summary.json holds; what nobody measured (time, tokens, prompt) is null."""
    protocol, rows = job.protocol, scored.rows
    scores = score(rows, protocol, config.bootstrap, config.seed)
    known = [gold.CAVEAT] if config.records is None else []
    unmeasured = ("images_per_second", "tokens_per_image", "prompt_tokens_per_image", "tokens_per_second", "seconds",
                  "cost", "cost_per_thousand_images", "max_new_tokens", "limit", "max_pixels", "prompt")  # fmt: skip
    evaluation = job.config
    return {
        "benchmark": job.benchmark.name, "protocol": protocol.name, "doc": protocol.doc, "source": protocol.source,
        "headline": protocol.headline, "task": protocol.task or config.mode, "au_protocol": protocol.aus,
        **scores,
        "caveats": [*known, *caveats(job), *scored.notes, UNKNOWN, *scores["caveats"]],
        "leakage": {"model": evaluation.model, "n": scores["n"], "stages": [], "leaks": [], "unknown": [UNKNOWN]},
        "over_folds": over_folds(rows, protocol),
        "skipped": sum(job.skipped.values()), "skipped_by": job.skipped,
        **dict.fromkeys(unmeasured), "engine": ENGINE, "endpoint": None,
        **{key: getattr(evaluation, key) for key in ("model", "mode", "reader", "split", "fold")},
        "predictions": {"file": config.path.name, "match": config.match, **scored.matched.counts},
        "versions": versions(),
    }  # fmt: skip


def score_outputs(config: ScoreConfig) -> dict[str, Any]:
    """Read, match, score, report. Returns what summary.json holds.

    Raises:
        ConfigError: see `given.open_source`, `open_truth`, `predictions`; or `out` holds a run of a model.
    """
    out = Path(config.out)
    if (out / "run.json").is_file() and json.loads((out / "run.json").read_text())["engine"] != ENGINE:
        raise ConfigError(f"{out} holds a run of eval.run; choose another out")
    source = open_source(config.path, find_reader(config.reader), config.columns, sheet=config.sheet,
                         label_ids=config.label_ids, intensities=config.intensities,
                         named=config.match != "row" and config.records is not None)  # fmt: skip
    if config.records is None:
        source = replace(source, names=[name or f"row {i}" for i, name in enumerate(source.names, 1)])
    truths = open_truth(config, source)
    scored = predictions(config, source, truths)
    if not scored.rows:
        raise ConfigError("no face is left to score")
    summary = summarise(config, truths.job, scored)
    digest = hashlib.blake2b(config.path.read_bytes(), digest_size=8).hexdigest()
    facts = {"fingerprint": {"predictions": digest, "reader": config.reader}, "engine": ENGINE,
             "config": asdict(truths.job.config), "versions": versions()}  # fmt: skip
    write_resolved(config, out)
    with whole_file(out / "run.json") as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n")
    write_result(out, summary, scored.rows, truths.job.faces if config.records else None, config.gallery, config.seed)
    return summary


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(ScoreConfig, __doc__, argv, inputs="predictions")
    try:
        summary = score_outputs(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(headline([(summary["model"], summary)]))
    print("".join(f"note: {caveat}\n" for caveat in summary["caveats"]), end="")
    print(f"{config.out}/report.html")


if __name__ == "__main__":
    main()
