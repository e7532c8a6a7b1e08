"""What a model's words are worth: do they agree, did it look at the face, does the reasoning matter?

    python -m eval.faithful --config configs/eval/faithful.yaml model=runs/grpo records=data/faces out=runs/faithful

The probes and what their numbers mean: docs/faithfulness.md. Writes into `out`: answers.jsonl (one line a question, as
soon as its batch is answered), summary.json, report.html, config.yaml and run.json (what must stay the same for a run
to go on). Killed and started again, it asks the rest only.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL.Image import Image
from tqdm import tqdm

from eval.faithfulness.evidence import Evidence, Findings
from eval.faithfulness.inquiry import PLAIN, Inquiry, Said, plain, to_line, write_answers
from eval.faithfulness.job import FaithfulConfig, Job, prepare, resume
from eval.faithfulness.measured import FEW, FEW_PEOPLE
from eval.faithfulness.page import write_page
from eval.probes import PROBES
from facevlm.config import ConfigError, load, versions, write_resolved
from facevlm.generate import Generator, Request, engine
from facevlm.images import ImageError
from facevlm.record import whole_file

Pictures = tuple[Image, ...]


def _load(job: Job, inquiry: Inquiry) -> Pictures | ImageError:
    try:
        return inquiry.picture(job.album)
    except ImageError as e:
        return e


def _batches(job: Job, todo: Sequence[Inquiry]) -> Iterator[tuple[Sequence[Inquiry], list[Pictures | ImageError]]]:
    """Questions with their pictures, a batch at a time; the next batch is made while this one is answered."""
    cuts = [todo[i : i + job.config.batch] for i in range(0, len(todo), job.config.batch)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        waiting = pool.map(lambda one: _load(job, one), cuts[0])
        for cut, following in zip(cuts, [*cuts[1:], None], strict=True):
            pictures = list(waiting)
            if following is not None:
                waiting = pool.map(lambda one: _load(job, one), following)
            yield cut, pictures


def _ask(job: Job, generator: Generator, todo: Sequence[Inquiry]) -> Iterator[list[Said]]:
    """Pictures of a batch -> replies -> answers, with each question's share of the batch's time."""
    last = time.perf_counter()
    for cut, pictures in _batches(job, todo):
        requests = [Request(shown, one.face.text(one.thinking), one.prefix)
                    for one, shown in zip(cut, pictures, strict=True) if not isinstance(shown, ImageError)]
        replies = generator.generate(requests, max_new_tokens=job.config.max_new_tokens) if requests else []
        if len(replies) != len(requests):
            raise RuntimeError(f"engine {generator.engine} gave {len(replies)} replies to {len(requests)} requests")
        answers, now, left = [], time.perf_counter(), iter(replies)
        for one, shown in zip(cut, pictures, strict=True):
            asked = Said(one.face.record.id, one.face.record.source, one.name, one.thinking, one.prefix,
                         error=str(shown) if isinstance(shown, ImageError) else None,
                         seconds=(now - last) / len(cut))  # fmt: skip
            if asked.error is None:
                reply = next(left)
                asked = Said(**asdict(asked) | {"text": reply.text, "prompt_tokens": reply.prompt_tokens,
                                                "completion_tokens": reply.completion_tokens})  # fmt: skip
            answers.append(asked)
        yield answers
        last = now


class Interview:
    """The questions of a run and the answers to them, those of an earlier start included."""

    def __init__(self, job: Job, start: Callable[[], Generator]) -> None:
        self.job, self._start = job, start
        self._generator: Generator | None = None
        self.answers, self.engine = resume(job)
        self.file = Path(job.config.out) / "answers.jsonl"

    def evidence(self) -> Evidence:
        """What is known so far."""
        config = self.job.config
        return Evidence.of(self.job.faces, self.answers.values(), self.job.album, config.seed, config.bootstrap)

    def _same(self, inquiry: Inquiry) -> bool:
        """Whether it was asked before, in the same way."""
        said = self.answers.get(inquiry.key)
        return said is not None and (said.prefix, said.thinking) == (inquiry.prefix, inquiry.thinking)

    def ask(self, inquiries: Sequence[Inquiry], what: str) -> None:
        """Ask what was not asked before, appending each batch to the file."""
        todo = [one for one in inquiries if not self._same(one)]
        if not todo:
            return
        generator = self._begin()
        bar = tqdm(total=len(inquiries), initial=len(inquiries) - len(todo), unit="questions", desc=what, disable=None)
        with self.file.open("a", encoding="utf-8") as file, bar:
            for batch in _ask(self.job, generator, todo):
                file.writelines(map(to_line, batch))
                file.flush()
                self.answers |= {said.key: said for said in batch}
                bar.update(len(batch))

    def _begin(self) -> Generator:
        """Start the engine, once.

        Raises:
            ConfigError: the answers there came from another engine.
        """
        if self._generator is None:
            generator = self._start()
            if self.answers and self.engine != generator.engine:
                raise ConfigError(f"the answers there were given by engine {self.engine}, this is {generator.engine}: "
                                  "two engines round differently. Set engine, or choose another out")  # fmt: skip
            self._generator, self.engine = generator, generator.engine
            self.write()
        return self._generator

    def write(self) -> None:
        """How the answers are made, and those that are there."""
        facts = {"fingerprint": self.job.fingerprint, "engine": self.engine, "config": asdict(self.job.config),
                 "versions": versions()}  # fmt: skip
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.file.with_name("run.json")) as draft:
            draft.write_text(json.dumps(facts, indent=2) + "\n")
        write_answers(self.file, self.answers.values())


def _caveats(job: Job, evidence: Evidence, findings: dict[str, Findings]) -> list[str]:
    """What must be known beside the numbers."""
    found = []
    if len(job.faces) < job.whole:
        found.append(f"{len(job.faces)} of the {job.whole} faces of the split were asked about (limit)")
    asked = [evidence.reading(face) for face in job.faces]
    if unshown := sum(reading is None for reading in asked):
        found.append(f"{unshown} faces have no answer: their picture cannot be read")
    faults = sum(reading is not None and bool(reading.answer.faults) for reading in asked)
    if faults:
        found.append(f"{faults} of {len(asked) - unshown} plain answers miss the answer form; what is read of them is "
                     "what stands whole")  # fmt: skip
    if job.config.bootstrap and len({face.who for face in job.faces}) == 1:
        found.append("all faces are of one person: there is no interval")
    few = [number for some in findings.values() for number in some.numbers.values() if number.few]
    if few:
        found.append(f"{len(few)} numbers rest on fewer than {FEW} faces or claims, or on fewer than {FEW_PEOPLE} "
                     "people: too few to compare")  # fmt: skip
    return found


def _plain(findings: Findings) -> dict[str, Any]:
    """What a probe found, as summary.json holds it."""
    tables = {title: [{name: cell.plain() if hasattr(cell, "plain") else cell for name, cell in row.items()}
                      for row in rows] for title, rows in findings.tables.items()}  # fmt: skip
    few = {name: number.few for name, number in findings.numbers.items() if number.few}
    return {**{name: number.plain() for name, number in findings.numbers.items()}, "few": few, "tables": tables,
            "left_out": dict(findings.left_out), "caveats": list(findings.caveats)}  # fmt: skip


def run(job: Job, start: Callable[[], Generator], tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Ask, probe, score, report. Returns what summary.json holds.

    Args:
        start: loads the model; called only if something is left to ask.
        tell: is told how many questions there are before they are asked.
    """
    config, interview = job.config, Interview(job, start)
    tell(f"{len(job.faces)} faces: {len(job.faces)} plain questions, then as many as follow from the answers")
    interview.ask([plain(face) for face in job.faces], PLAIN)
    evidence = interview.evidence()
    further = {name: PROBES[name].ask(evidence) for name in config.probes}
    counts = {"plain": len(job.faces)} | {name: len(some) for name, some in further.items()}
    tell("further questions: " + ", ".join(f"{name} {n}" for name, n in counts.items() if name != "plain"))
    interview.ask([one for some in further.values() for one in some], "further")
    if not interview.file.is_file():  # all was known, and nothing asked
        interview.write()
    evidence = interview.evidence()
    findings = {name: PROBES[name].score(evidence) for name in config.probes}
    answers = list(interview.answers.values())
    summary = {
        "model": config.model, "engine": interview.engine, "records": config.records, "split": config.split,
        "faces": len(job.faces), "people": len({face.who for face in job.faces}), "questions": counts,
        "probes": {name: _plain(found) for name, found in findings.items()},
        "caveats": _caveats(job, evidence, findings),
        "seconds": sum(said.seconds for said in answers),
        "completion_tokens": sum(said.completion_tokens for said in answers),
        "max_pixels": job.album.max_pixels, "max_new_tokens": config.max_new_tokens, "bootstrap": config.bootstrap,
        "seed": config.seed, "prompt": job.faces[0].text(), "versions": versions(),
    }  # fmt: skip
    out = Path(config.out)
    write_resolved(config, out)
    with whole_file(out / "summary.json") as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n")
    write_page(out / "report.html", summary, findings, evidence, further, config.gallery)
    return summary


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(FaithfulConfig, __doc__, argv)

    def tell(text: str) -> None:
        print(text, flush=True)

    try:
        job = prepare(config)
        most = max(len(face.record.pictures) for face in job.faces)
        summary = run(job, lambda: engine(config.model, config.engine, max_images=most), tell)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    for name, found in summary["probes"].items():
        for key, shown in PROBES[name].numbers.items():
            print(f"{name}.{key}: {_printed(found[key])}  {shown.title}")
        print("".join(f"note: {caveat}\n" for caveat in found["caveats"]), end="")
    print("".join(f"note: {caveat}\n" for caveat in summary["caveats"]), end="")
    print(f"{config.out}/report.html")


def _printed(number: dict[str, Any]) -> str:
    if number["value"] is None:
        return f"– ({number['why']})"
    low, high = number["ci95"]
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"{number['value']:.3f}{interval} n={number['n']}"


if __name__ == "__main__":
    main()
