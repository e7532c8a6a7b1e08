"""Ask a model about labelled faces, score the answers, write a page to look at.

    python -m eval.run --config configs/eval/synthetic.yaml model=runs/sft out=runs/eval/sft

Benchmarks and their protocols: docs/evaluation.md. Writes into `out`: predictions.jsonl (one line a face, as soon as
its batch is answered), predictions.parquet (the same at the end), summary.json, report.html, config.yaml and run.json
(what must stay the same for a run to go on). Killed and started again, it asks the rest only.
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

from eval import leakage
from eval.elsewhere.reading import Asked
from eval.frame.benchmark import face_of, truth
from eval.frame.job import EvalConfig, Job, find_reader, prepare, resume
from eval.frame.predictions import Prediction, to_line, with_truth, write_predictions
from eval.frame.question import Question
from eval.frame.samples import write_samples
from eval.frame.scoring import UNANSWERED, over_folds, score
from eval.leaks import choice_on_test
from eval.pages.figures import Run, headline
from eval.pages.report import write_report
from facevlm.answer import Part
from facevlm.config import ConfigError, load, versions, write_resolved
from facevlm.generate import Choice, Chooser, Generator, Reply, Request, Weigher, engine
from facevlm.generate.endpoint import Endpoint, EndpointError, Failure
from facevlm.images import ImageError, load_face
from facevlm.record import whole_file
from facevlm.tasks import TASKS


def _write_run(job: Job, engine: str) -> None:
    facts = {"fingerprint": job.fingerprint, "engine": engine, "config": asdict(job.config), "versions": versions()}
    with whole_file(Path(job.config.out) / "run.json") as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n")


Pictures = tuple[Image, ...]


def _load(job: Job, q: Question) -> Pictures | ImageError:
    box, paths = q.record.still_box, job.faces.paths(q.record, before=TASKS[q.task].before)
    try:
        return tuple(load_face(path, box, job.max_pixels) for path in paths)
    except ImageError as e:
        return e


def _batches(job: Job, todo: Sequence[Question]) -> Iterator[tuple[Sequence[Question], list[Pictures | ImageError]]]:
    """Questions with their pictures, a batch at a time; the next batch is decoded while this one is answered."""
    cuts = [todo[i : i + job.config.batch] for i in range(0, len(todo), job.config.batch)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        waiting = pool.map(lambda q: _load(job, q), cuts[0])
        for cut, following in zip(cuts, [*cuts[1:], None], strict=True):
            pictures = list(waiting)
            if following is not None:
                waiting = pool.map(lambda q: _load(job, q), following)
            yield cut, pictures


def _row(job: Job, q: Question, got: Reply | ImageError) -> Prediction:
    row = Prediction(q.record.id, q.record.source, q.record.subject, q.parts, q.task, q.labels)
    row = with_truth(row, q.record, truth(q.record, job.aus))
    if isinstance(got, ImageError):
        return replace(row, error=str(got))
    if isinstance(got, Failure):
        return replace(row, error=UNANSWERED + got.fault)
    answer = find_reader(job.config.reader).read(got.text, Asked(q.task, q.parts, q.labels))
    return replace(row, text=got.text, thinking=answer.thinking, aus=answer.aus, value=answer.value,
                   faults=answer.faults, probabilities=got.probabilities if isinstance(got, Choice) else None,
                   prompt_tokens=got.prompt_tokens, completion_tokens=got.completion_tokens)  # fmt: skip


def _choices(job: Job, q: Question) -> tuple[str, ...]:
    """The answers whose probabilities are wanted."""
    wanted = job.config.probabilities if q.parts == ("answer",) else job.config.confidence
    return q.choices if wanted and len(q.choices) > 1 else ()


def _answered(generator: Generator, asked: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              most: int) -> Sequence[Reply]:  # fmt: skip
    """Replies, with probabilities of the labels where the engine can tell them; no labels = none are wanted."""
    if labels and parts == ("answer",) and isinstance(generator, Chooser):
        return generator.choose(asked, labels, most)
    if labels and parts != ("answer",) and isinstance(generator, Weigher):
        return generator.weigh(asked, parts, labels, most)
    return generator.generate(asked, max_new_tokens=most)


def _replies(job: Job, generator: Generator, cut: Sequence[Question], requests: Sequence[Request]) -> dict[int, Reply]:
    """The reply to each request by its number, with probabilities where the engine can tell them.

    Raises:
        EndpointError: with what was answered before.
    """
    groups: dict[tuple[tuple[str, ...], tuple[Part, ...]], list[int]] = {}
    for i, q in enumerate(cut):
        choices = _choices(job, q)
        groups.setdefault((choices, q.parts if choices else ()), []).append(i)
    found: dict[int, Reply] = {}
    for (choices, parts), mine in groups.items():
        asked, most = [requests[i] for i in mine], job.config.max_new_tokens
        try:
            replies = _answered(generator, asked, parts, choices, most)
        except EndpointError as e:
            e.answered = found | {mine[i]: reply for i, reply in e.answered.items()}
            raise
        if len(replies) != len(asked):
            raise RuntimeError(f"engine {generator.engine} gave {len(replies)} replies to {len(asked)} requests")
        found |= zip(mine, replies, strict=True)
    return found


def _ask_all(job: Job, generator: Generator, todo: Sequence[Question]) -> Iterator[list[Prediction]]:
    """The loop: pictures of a batch -> replies -> rows, with each face's share of the batch's time.

    Raises:
        EndpointError: the endpoint cannot be used; what it answered before was yielded.
    """
    last = time.perf_counter()
    for cut, pictures in _batches(job, todo):
        got: list[tuple[Question, Reply | ImageError]] = [(q, p) for q, p in zip(cut, pictures, strict=True)
                                                          if isinstance(p, ImageError)]  # fmt: skip
        seen = [(q, p) for q, p in zip(cut, pictures, strict=True) if not isinstance(p, ImageError)]
        gone = None
        try:
            replies = _replies(job, generator, [q for q, _ in seen], [Request(p, q.text) for q, p in seen])
        except EndpointError as e:
            replies, gone = dict(e.answered), e
        got += [(seen[i][0], reply) for i, reply in replies.items()]
        now = time.perf_counter()
        yield [replace(_row(job, q, one), seconds=(now - last) / len(got)) for q, one in got]
        if gone is not None:
            raise gone
        last = now


def predict(job: Job, start: Callable[[], Generator]) -> tuple[list[Prediction], str]:
    """Ask what was not asked before, appending each batch to predictions.jsonl. `start` is called only if needed.

    Returns:
        The rows in the order of the records, and the name of the engine.

    Raises:
        ConfigError: see `job.resume`; the answers there came from another engine; or an endpoint cannot be used, and
            what it answered before is kept.
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
    final = [with_truth(rows[q.key], q.record, truth(q.record, job.aus)) for q in job.questions]
    write_predictions(path, final)
    return final, str(engine)


def caveats(job: Job) -> list[str]:
    """What the config says against comparing the number with a published one."""
    config, protocol, found = job.config, job.protocol, []
    asked = len({(q.record.source, face_of(q.record.id)) for q in job.questions})
    if caveat := find_reader(config.reader).caveat:
        found.append(caveat)
    if config.url is not None and any(_choices(job, q) for q in job.questions):
        found.append("an endpoint does not tell how likely each label is: no calibration; use engine vllm or "
                     "transformers for it")  # fmt: skip
    if config.au_protocol is not None:
        found.append(f"AUs are held to {config.au_protocol}, not to the protocol's own")
    if config.split not in (None, protocol.split):
        found.append(f"scored on split {config.split}; the protocol tests {protocol.split or 'all records'}")
    whole = job.benchmark.sources and protocol.faces if config.fold is None else None
    if whole and asked != whole:
        found.append(f"{asked} faces of {whole} that the whole test has")
    elif config.limit is not None:
        found.append(f"only the first {asked} faces (limit={config.limit})")
    if (protocol.folds or protocol.tested == "subjects") and config.fold is None:
        found.append("one model over all people: fair only if it was trained on none of them; otherwise train one for "
                     "each part held out, and pool their runs with eval.pool")  # fmt: skip
    elif protocol.tested == "folds" and not protocol.folds:
        found.append("one of the owner's folds: papers give the mean over all; build, train and run each, and pool "
                     "their runs with eval.pool")  # fmt: skip
    return found


def _use(rows: Sequence[Prediction], price: float | None) -> dict[str, Any]:
    """What the answers took. Seconds include decoding; None where nothing was measured."""
    asked = [row for row in rows if row.error is None]
    seconds, written = sum(row.seconds for row in rows), sum(row.completion_tokens for row in asked)
    tokens = written + sum(row.prompt_tokens for row in asked)
    cost = None if price is None else tokens * price / 1e6
    return {
        "images_per_second": len(rows) / seconds if seconds else None,
        "tokens_per_image": written / len(asked) if asked else None,
        "prompt_tokens_per_image": (tokens - written) / len(asked) if asked else None,
        "tokens_per_second": written / seconds if seconds else None,
        "seconds": seconds,
        "cost": cost,
        "cost_per_thousand_images": 1000 * cost / len(asked) if cost is not None and asked else None,
    }


def summarise(job: Job, rows: Sequence[Prediction], engine: str) -> dict[str, Any]:
    """The scores with what they were obtained with, as summary.json holds it."""
    config, protocol = job.config, job.protocol
    scores = score(rows, protocol, config.bootstrap, config.seed)
    trained = leakage.of_run(config.model, job.faces)
    chosen = choice_on_test.caveats(Path(config.out), config.model, config.split, protocol.split,
                                    str(job.fingerprint["records"]))  # fmt: skip
    kept = ("model", "mode", "reader", "split", "fold", "max_new_tokens", "limit")
    return {
        "benchmark": job.benchmark.name, "protocol": protocol.name, "doc": protocol.doc, "source": protocol.source,
        "headline": protocol.headline, "task": protocol.task or config.mode, "au_protocol": protocol.aus,
        **scores,
        "caveats": [*trained["leaks"], *chosen, *caveats(job), *scores["caveats"]], "leakage": trained,
        "over_folds": over_folds(rows, protocol),
        "skipped": sum(job.skipped.values()), "skipped_by": job.skipped,
        **_use(rows, config.price_per_million_tokens),
        "engine": engine, "endpoint": job.fingerprint.get("url"),
        **{key: getattr(config, key) for key in kept}, "max_pixels": job.max_pixels,
        "prompt": job.questions[0].text,
        "versions": versions(),
    }  # fmt: skip


def run(job: Job, start: Callable[[], Generator]) -> dict[str, Any]:
    """Predict, score, report. Returns what summary.json holds."""
    out = Path(job.config.out)
    rows, engine = predict(job, start)
    write_resolved(job.config, out)
    write_samples(out / "predictions.parquet", rows)
    summary = summarise(job, rows, engine)
    with whole_file(out / "summary.json") as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n")
    one = Run(out.name, summary, rows)
    write_report(out / "report.html", [one], job.faces, gallery=job.config.gallery, seed=job.config.seed)
    return summary


def evaluate(config: EvalConfig, generator: Generator) -> dict[str, Any]:
    """Evaluate with a generator that is there already; see `run`."""
    return run(prepare(config), lambda: generator)


def _start(config: EvalConfig, most: int) -> Generator:
    """The model, behind an endpoint or loaded here; `most` is how many pictures the longest question shows."""
    if config.url is not None:
        return Endpoint(config.model, config.url, config.api_key_env, config.concurrency, body=config.body)
    return engine(config.model, config.engine, max_images=most)


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(EvalConfig, __doc__, argv)

    try:
        job = prepare(config)
        most = max(len(q.record.pictures) + TASKS[q.task].before for q in job.questions)
        summary = run(job, lambda: _start(config, most))
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(headline([(Path(config.out).name, summary)]))
    print("".join(f"note: {caveat}\n" for caveat in summary["caveats"]), end="")
    print(f"{config.out}/report.html")


if __name__ == "__main__":
    main()
