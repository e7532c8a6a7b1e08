"""Ask a model about labelled faces, score the answers, write a page to look at.

    python -m eval.run --config configs/eval/synthetic.yaml model=runs/sft out=runs/eval/sft

Writes into `out`: predictions.jsonl (one line a face, as soon as its batch is answered), summary.json, report.html,
config.yaml and run.json (what must stay the same for a run to go on). Killed and started again, it asks the rest only.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PIL.Image import Image
from tqdm import tqdm

from eval.benchmark import truth
from eval.job import EvalConfig, Job, Question, prepare, resume
from eval.predictions import Prediction, read_answer, to_line, with_truth, write_predictions
from eval.report import Run, headline, write_report
from eval.score import score
from facevlm.config import ConfigError, load, versions, write_resolved
from facevlm.generate import Generator, Reply, Request, engine
from facevlm.images import ImageError, load_face
from facevlm.record import FaceRecord, whole_file
from facevlm.vocab import LABEL_SETS


def _write_run(job: Job, engine: str) -> None:
    facts = {"fingerprint": job.fingerprint, "engine": engine, "config": asdict(job.config), "versions": versions()}
    with whole_file(Path(job.config.out) / "run.json") as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n")


Pictures = tuple[Image, ...]


def _load(job: Job, record: FaceRecord) -> Pictures | ImageError:
    try:
        return tuple(load_face(path, record.still_box, job.max_pixels) for path in job.faces.paths(record))
    except ImageError as e:
        return e


def _batches(job: Job, todo: Sequence[Question]) -> Iterator[tuple[Sequence[Question], list[Pictures | ImageError]]]:
    """Questions with their pictures, a batch at a time; the next batch is decoded while this one is answered."""
    cuts = [todo[i : i + job.config.batch] for i in range(0, len(todo), job.config.batch)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        waiting = pool.map(lambda q: _load(job, q.record), cuts[0])
        for cut, following in zip(cuts, [*cuts[1:], None], strict=True):
            pictures = list(waiting)
            if following is not None:
                waiting = pool.map(lambda q: _load(job, q.record), following)
            yield cut, pictures


def _row(job: Job, q: Question, got: Reply | ImageError) -> Prediction:
    row = Prediction(q.record.id, q.record.source, q.record.subject, q.parts)
    row = with_truth(row, q.record, truth(q.record, job.protocol))
    if isinstance(got, ImageError):
        return replace(row, error=str(got))
    answer = read_answer(got.text, q.parts, q.labels, job.config.reader)
    return replace(row, text=got.text, thinking=answer.thinking, aus=answer.aus, emotion=answer.emotion,
                   faults=answer.faults, prompt_tokens=got.prompt_tokens,
                   completion_tokens=got.completion_tokens)  # fmt: skip


def _ask_all(job: Job, generator: Generator, todo: Sequence[Question]) -> Iterator[list[Prediction]]:
    """The loop: pictures of a batch -> replies -> rows, with each face's share of the batch's time."""
    last = time.perf_counter()
    for cut, pictures in _batches(job, todo):
        requests = [Request(p, q.text) for q, p in zip(cut, pictures, strict=True) if not isinstance(p, ImageError)]
        replies = generator.generate(requests, max_new_tokens=job.config.max_new_tokens) if requests else []
        if len(replies) != len(requests):
            raise RuntimeError(f"engine {generator.engine} gave {len(replies)} replies to {len(requests)} requests")
        answered = iter(replies)
        got = [p if isinstance(p, ImageError) else next(answered) for p in pictures]
        now = time.perf_counter()
        yield [replace(_row(job, q, g), seconds=(now - last) / len(cut)) for q, g in zip(cut, got, strict=True)]
        last = now


def predict(job: Job, start: Callable[[], Generator]) -> tuple[list[Prediction], str]:
    """Ask what was not asked before, appending each batch to predictions.jsonl. `start` is called only if needed.

    Returns:
        The rows in the order of the records, and the name of the engine.

    Raises:
        ConfigError: see `job.resume`; or the answers there came from another engine.
    """
    rows, engine = resume(job)
    path = Path(job.config.out) / "predictions.jsonl"
    if todo := [q for q in job.questions if q.key not in rows]:
        generator = start()
        if rows and engine != generator.engine:
            raise ConfigError(f"{job.config.out} was begun with engine {engine}, this is {generator.engine}: two "
                              "engines round differently. Set engine, or choose another out")  # fmt: skip
        engine = generator.engine
        _write_run(job, engine)
        write_predictions(path, rows.values())
        # disable=None: no bar where the output is not a terminal.
        bar = tqdm(total=len(job.questions), initial=len(rows), unit="images", disable=None)
        with path.open("a", encoding="utf-8") as file, bar:
            for batch in _ask_all(job, generator, todo):
                file.writelines(map(to_line, batch))
                file.flush()
                rows |= {row.key: row for row in batch}
                bar.update(len(batch))
    final = [with_truth(rows[q.key], q.record, truth(q.record, job.protocol)) for q in job.questions]
    write_predictions(path, final)
    return final, str(engine)


def summarise(job: Job, rows: Sequence[Prediction], engine: str) -> dict[str, Any]:
    """The scores with what they were obtained with, as summary.json holds it. Seconds include decoding."""
    config, protocol = job.config, job.protocol
    labels = LABEL_SETS[job.benchmark.label_set].labels if job.benchmark.label_set else ()
    aus = protocol.aus if protocol else tuple(sorted({n for row in rows for n in row.labelled_aus}))
    asked = [row for row in rows if row.error is None]
    seconds, tokens = sum(row.seconds for row in rows), sum(row.completion_tokens for row in asked)
    named = {"benchmark": job.benchmark.name, "doc": job.benchmark.doc, "protocol": protocol and protocol.name}
    kept = ("model", "mode", "reader", "split", "max_new_tokens")
    made_with = {key: getattr(config, key) for key in kept} | {"max_pixels": job.max_pixels}
    return {
        **named,
        **score(rows, labels, aus, config.bootstrap, config.seed),
        "skipped": job.skipped,
        "images_per_second": len(rows) / seconds if seconds else None,
        "tokens_per_image": tokens / len(asked) if asked else None,
        "tokens_per_second": tokens / seconds if seconds else None,
        "seconds": seconds,
        "engine": engine,
        **made_with,
        "prompt": job.questions[0].text,
        "versions": versions(),
    }


def run(job: Job, start: Callable[[], Generator]) -> dict[str, Any]:
    """Predict, score, report. Returns what summary.json holds."""
    out = Path(job.config.out)
    rows, engine = predict(job, start)
    write_resolved(job.config, out)
    summary = summarise(job, rows, engine)
    with whole_file(out / "summary.json") as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n")
    one = Run(out.name, summary, rows)
    write_report(out / "report.html", [one], job.faces, gallery=job.config.gallery, seed=job.config.seed)
    return summary


def evaluate(config: EvalConfig, generator: Generator) -> dict[str, Any]:
    """Evaluate with a generator that is there already; see `run`."""
    return run(prepare(config), lambda: generator)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(EvalConfig, __doc__, argv)

    try:
        job = prepare(config)
        most = max(len(q.record.pictures) for q in job.questions)
        summary = run(job, lambda: engine(config.model, config.engine, max_images=most))
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(headline([(Path(config.out).name, summary)]))
    print(f"{config.out}/report.html")


if __name__ == "__main__":
    main()
