"""A checked evaluation: the config, the questions it asks, and which answers are there already from before."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from eval.benchmarks import BENCHMARKS
from eval.elsewhere.reading import Reader
from eval.frame.benchmark import Benchmark, Protocol, find_aus, held_to, pick
from eval.frame.folders import folders, read_together
from eval.frame.predictions import Key, Prediction, read_predictions
from eval.frame.question import Question, ask
from eval.readers import READERS
from facevlm.answer import Form, Mode
from facevlm.checkpoint import folder, pixel_budget
from facevlm.config import ConfigError, doc, plug
from facevlm.folds import fold_of
from facevlm.generate import EngineName
from facevlm.generate.endpoint import checked_url
from facevlm.record import FaceRecord, RecordSet
from facevlm.tasks import TASKS
from facevlm.vocab import AUProtocol


@dataclass(frozen=True)
class EvalConfig:
    benchmark: str = doc("a name of docs/evaluation.md, or package.module:attribute of your own Benchmark")
    records: str = doc("folder of records made by data_builders.build; several with commas between")
    model: str = doc("checkpoint folder, adapter folder, Hub name, \"tiny\" for the embedded model, or the name by "
                     "which the endpoint at url knows it")  # fmt: skip
    out: str = doc("folder to write to; an unfinished run there goes on")
    protocol: str | None = doc("how it is scored, a protocol of the benchmark; null = its first", default=None)
    au_protocol: str | None = doc("AUs and threshold of facevlm.vocab in place of the protocol's own, such as DISFA-8",
                                  default=None)  # fmt: skip
    split: str | None = doc("which split of the records; null = what the protocol tests", default=None)
    fold: int | None = doc("test only the people of this fold, from 1; null = of all folds", default=None)
    engine: EngineName = doc("what runs the model", default="auto")
    url: str | None = doc("address of an OpenAI-compatible endpoint that runs it, such as http://gpu-box:8000/v1; the "
                          "pictures go there", default=None)  # fmt: skip
    api_key_env: str | None = doc("name of the environment variable that holds the endpoint's key; null = no key",
                                  default=None)  # fmt: skip
    concurrency: int = doc("requests to the endpoint at once", default=32)
    body: dict[str, Any] = doc("more fields of each request to the endpoint, e.g. {chat_template_kwargs: "
                               "{enable_thinking: false}}; null leaves one of ours out",
                               default_factory=dict)  # fmt: skip
    mode: Mode = doc("what is asked: reasons + AUs + emotion, AUs + emotion, or emotion alone", default="explain")
    reader: str = doc("how answers are read, a name of docs/evaluation.md; others than strict only for models that "
                      "were never told the answer form", default="strict")  # fmt: skip
    probabilities: bool = doc("also ask how likely each label is, where the answer is one label and nothing else",
                              default=True)  # fmt: skip
    confidence: bool = doc("the same where reasons or AUs come before the answer: how likely the model found each "
                           "label where it wrote one, behind them", default=False)  # fmt: skip
    batch: int = doc("faces handed to the engine at a time, and lost if a run is killed; the engine idles at the end "
                     "of each", default=256)  # fmt: skip
    max_new_tokens: int = doc("longest answer", default=256)
    max_pixels: int | None = doc("most pixels of a face; null = as the model was trained", default=None)
    limit: int | None = doc("only the first so many faces", default=None)
    bootstrap: int = doc("resamples for the 95 % intervals; 0 = none", default=1000)
    seed: int = doc("of the resamples and of the gallery", default=0)
    gallery: int = doc("faces shown in the report; 0 = none, for pictures that must not be copied", default=24)
    price_per_million_tokens: float | None = doc("what a million tokens cost, read or written, in any currency; "
                                                 "null = no cost in the results", default=None)  # fmt: skip

    def __post_init__(self) -> None:
        low = {"batch": 1, "max_new_tokens": 1, "concurrency": 1, "bootstrap": 0, "gallery": 0}
        if wrong := [f"{name}={getattr(self, name)}" for name, least in low.items() if getattr(self, name) < least]:
            raise ConfigError(f"{', '.join(wrong)}: batch, max_new_tokens and concurrency start at 1, others at 0")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit={self.limit} leaves no face; null = all")
        if self.price_per_million_tokens is not None and not 0 <= self.price_per_million_tokens < float("inf"):
            raise ConfigError(f"price_per_million_tokens={self.price_per_million_tokens} is no price; null = none")
        if self.url is None and (self.api_key_env or self.body):
            raise ConfigError("api_key_env and body are for an endpoint: set url, or leave them out")
        if self.url is not None:
            checked_url(self.url)
            if self.engine != "auto":
                raise ConfigError(f"engine={self.engine} runs a model here, url={self.url} elsewhere: leave one out")


class Job(NamedTuple):
    """A checked config with all that it names."""

    config: EvalConfig
    benchmark: Benchmark
    protocol: Protocol
    faces: RecordSet
    questions: list[Question]
    skipped: dict[str, int]
    """Records that are not scored, by reason."""
    fingerprint: dict[str, Any]

    @property
    def aus(self) -> AUProtocol | None:
        """The AUs and the threshold in force."""
        return find_aus(self.protocol.aus)

    @property
    def max_pixels(self) -> int:
        """The pixel budget in force."""
        return int(self.fingerprint["max_pixels"])


def find(config: EvalConfig) -> tuple[Benchmark, Protocol]:
    """The benchmark and the protocol that a config names.

    Raises:
        ConfigError: unknown, or settings that contradict them.
    """
    benchmark = plug(BENCHMARKS, config.benchmark, "benchmark")
    protocol = held_to(pick(benchmark, config.protocol), config.au_protocol)
    if config.fold is not None and not 1 <= config.fold <= len(protocol.folds):
        there = f"folds 1 to {len(protocol.folds)}" if protocol.folds else "no folds by person; if its owner gives " \
            "folds, build the records for one of them"  # fmt: skip
        raise ConfigError(f"fold={config.fold}: protocol {protocol.name} has {there}")
    reader, form = find_reader(config.reader), TASKS[protocol.task].form if protocol.task else Form()
    if form.kind not in reader.kinds or (not reader.graded and (form.letters or form.boxes)):
        able = [name for name, one in READERS.items() if form.kind in one.kinds and not one.layout and not one.columns
                and (one.graded or not (form.letters or form.boxes))]  # fmt: skip
        raise ConfigError(f"reader={config.reader} reads {' and '.join(reader.parts)} of kind "
                          f"{', '.join(reader.kinds)}; protocol {protocol.name} asks for "
                          f"{TASKS[str(protocol.task)].asks}, which is read by {', '.join(able)}")  # fmt: skip
    return benchmark, protocol


def find_reader(name: str) -> Reader:
    """The reader of that name; `llava+lenient` finds texts as the first does and reads them as the second.

    Raises:
        ConfigError: no reader is called so, or the first only reads texts.
    """
    where, plus, how = name.partition("+")
    first = plug(READERS, where, "reader")
    if not plus:
        return first
    second = plug(READERS, how, "reader")
    if not first.layout or second.layout or second.columns:
        layouts = ", ".join(name for name, one in READERS.items() if one.layout)
        raise ConfigError(f"reader={name}: before the + stands where texts are found ({layouts}), after it how they "
                          "are read")  # fmt: skip
    return first.reading(second)


def select(config: EvalConfig, benchmark: Benchmark, protocol: Protocol,
            records: Sequence[FaceRecord]) -> tuple[list[Question], dict[str, int]]:  # fmt: skip
    """The questions about the records that a protocol scores; the others counted by reason."""
    asked: list[Question] = []
    skipped: Counter[str] = Counter()
    for record in records:
        other = protocol.label_set is not None and record.label_set not in (None, protocol.label_set)
        if benchmark.sources and record.source not in benchmark.sources:
            skipped[f"of another source: {record.source}"] += 1
        elif other:
            skipped[f"of another label set: {record.label_set}"] += 1
        elif not protocol.keep(record):
            skipped["not of the protocol"] += 1
        elif config.fold is not None and fold_of(protocol.folds, record.subject) != config.fold:
            skipped["of another fold"] += 1
        elif not (some := _ask(config, protocol, record)):
            skipped["without a label for what is asked"] += 1
        else:
            asked += some
    return asked, dict(skipped)


def _ask(config: EvalConfig, protocol: Protocol, record: FaceRecord) -> list[Question]:
    """The questions about a record that its labels can answer."""
    asked = (ask(one, protocol.task or config.mode, config.mode) for one in protocol.questions(protocol.view(record)))
    return [question for question in asked if question.text]


def prepare(config: EvalConfig) -> Job:
    """Check everything that can be checked before a model is loaded.

    Raises:
        ConfigError: an unknown benchmark or protocol, no records, those of another data set, or none to score.
    """
    benchmark, protocol = find(config)
    faces = read_faces(config, benchmark, protocol)
    asked, skipped = select(config, benchmark, protocol, faces.records)
    if not asked:
        why = "; ".join(f"{n} {reason}" for reason, n in skipped.items())
        what = f"task {protocol.task}" if protocol.task else f"mode {config.mode}"
        raise ConfigError(f"none of the {len(faces.records)} records of {config.records} can be scored by benchmark "
                          f"{benchmark.name}, protocol {protocol.name}, in {what}: {why}")  # fmt: skip
    _readable(config, asked)
    fingerprint = _fingerprint(config, sorted({q.text for q in asked}))
    asked = asked[: config.limit]
    return Job(config, benchmark, protocol, replace(faces, records=[q.record for q in asked]), asked, skipped,
               fingerprint)  # fmt: skip


def _readable(config: EvalConfig, asked: Sequence[Question]) -> None:
    """Raises ConfigError where a reader cannot read what a model is asked here."""
    reader = find_reader(config.reader)
    if reader.layout or reader.columns:
        raise ConfigError(f"reader={config.reader} is for files of answers, which `python -m eval.score` reads")
    if unread := [part for part in asked[0].parts if part not in reader.parts and part != "think"]:
        raise ConfigError(f"reader={config.reader} does not read <{unread[0]}>, which mode {config.mode} asks for; "
                          "use mode=label")  # fmt: skip


def read_faces(config: EvalConfig, benchmark: Benchmark, protocol: Protocol) -> RecordSet:
    """The records to test on."""
    return of_split(config, protocol, read_all(config, benchmark))


def read_all(config: EvalConfig, benchmark: Benchmark) -> RecordSet:
    """The records of all splits.

    Raises:
        ConfigError: they are not there, or not of the benchmark.
    """
    try:
        faces = read_together(config.records)
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(str(e)) from e
    found = sorted({r.source for r in faces.records})
    if benchmark.sources and not set(found) & set(benchmark.sources):
        raise ConfigError(f"{config.records} holds records of {', '.join(found)}, benchmark {benchmark.name} is about "
                          f"{', '.join(benchmark.sources)}: give its records, or score these with "
                          f"benchmark={_fitting(found)}")  # fmt: skip
    return faces


def of_split(config: EvalConfig, protocol: Protocol, faces: RecordSet) -> RecordSet:
    """The records of the split that is tested.

    Raises:
        ConfigError: there are none.
    """
    split = config.split if config.split is not None else protocol.split
    chosen = [r for r in faces.records if split is None or r.split == split]
    if not chosen:
        raise ConfigError(f"{config.records} has no records in split {split!r}, which protocol {protocol.name} tests; "
                          f"it has {sorted({r.split for r in faces.records})}: build it with that split, or set "
                          "split")  # fmt: skip
    return replace(faces, records=chosen)


def _fitting(sources: Sequence[str]) -> str:
    return next((name for name, one in BENCHMARKS.items() if set(sources) & set(one.sources)), "table")


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _weights(model: str) -> list[list[str | int]]:
    """Name, size and time of each weights file: a model trained again in the same folder is another model."""
    files = sorted(folder(model).glob("*.safetensors"))
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _fingerprint(config: EvalConfig, prompts: Sequence[str]) -> dict[str, Any]:
    """What an answer depends on: a run goes on only if all of it is as before."""
    shards = [shard for path in folders(config.records) for shard in sorted(path.glob("records-*.parquet"))]
    return {
        "model": config.model,
        # Behind an endpoint may be any weights, whatever lies in a folder of that name here.
        "weights": _weights(config.model) if config.url is None else [],
        "url": config.url and checked_url(config.url),
        "body": config.body or None,
        "records": _digest(*(path.read_bytes() for path in shards)),
        "prompts": _digest(*(text.encode() for text in prompts)),
        **{key: getattr(config, key) for key in ("mode", "reader", "max_new_tokens", "probabilities")},
        "confidence": config.confidence or None,
        "max_pixels": config.max_pixels or pixel_budget(config.model),
    }


def resume(job: Job) -> tuple[dict[Key, Prediction], str | None]:
    """The answers that are there already, and the engine that gave them. A picture that failed is tried again.

    Raises:
        ConfigError: they were made in another way, or for faces that this run does not ask about.
    """
    out = Path(job.config.out)
    if not (out / "run.json").is_file():
        if (out / "predictions.jsonl").exists():
            raise ConfigError(f"{out} holds predictions but no run.json on how they were made; choose another out")
        return {}, None
    before = json.loads((out / "run.json").read_text())
    now = json.loads(json.dumps(job.fingerprint))
    if changed := [key for key in now if before["fingerprint"].get(key) != now[key]]:
        pairs = "; ".join(f"{key} was {before['fingerprint'].get(key)!r}, is {now[key]!r}" for key in changed)
        raise ConfigError(f"{out} holds a run made in another way: {pairs}. Choose another out, or remove it first")
    path = out / "predictions.jsonl"
    rows = {row.key: row for row in read_predictions(path)} if path.is_file() else {}
    if strange := rows.keys() - {q.key for q in job.questions}:
        raise ConfigError(f"{out} holds predictions for {len(strange)} faces that this run does not ask, e.g. "
                          f"{min(strange)[1]}: split, fold, limit or benchmark changed; choose another "
                          "out")  # fmt: skip
    return {key: row for key, row in rows.items() if row.error is None}, before["engine"]
