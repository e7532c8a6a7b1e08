"""A checked evaluation: the config, the questions it asks, and which answers are there already from before."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eval.benchmark import Benchmark, find_protocol
from eval.benchmarks import BENCHMARKS
from eval.predictions import Key, Prediction, Reader, read_predictions
from facevlm.answer import Mode, Part
from facevlm.checkpoint import folder, pixel_budget
from facevlm.config import ConfigError, doc, plug
from facevlm.generate import EngineName
from facevlm.prompts import asked_parts, question
from facevlm.record import FaceRecord, RecordSet, read
from facevlm.vocab import LABEL_SETS, AUProtocol


@dataclass(frozen=True)
class EvalConfig:
    benchmark: str = doc("a name of eval.benchmarks, or package.module:attribute of your own Benchmark")
    records: str = doc("folder of records made by data_builders.build")
    model: str = doc("checkpoint folder, adapter folder, Hub name, or \"tiny\" for the embedded model")
    out: str = doc("folder to write to; an unfinished run there goes on")
    split: str = doc("which split of the records", default="test")
    engine: EngineName = doc("what runs the model", default="auto")
    mode: Mode = doc("what is asked: reasons + AUs + emotion, AUs + emotion, or emotion alone", default="explain")
    reader: Reader = doc("lenient only for models that were never told the answer form", default="strict")
    batch: int = doc("faces handed to the engine at a time", default=64)
    max_new_tokens: int = doc("longest answer", default=256)
    max_pixels: int | None = doc("most pixels of a face; null = as the model was trained", default=None)
    limit: int | None = doc("only the first so many faces", default=None)
    bootstrap: int = doc("resamples for the 95 % intervals; 0 = none", default=1000)
    seed: int = doc("of the resamples and of the gallery", default=0)
    protocol: str | None = doc("AU protocol of facevlm.vocab; null = the benchmark's own", default=None)
    gallery: int = doc("faces shown in the report; 0 = none, for pictures that must not be copied", default=24)

    def __post_init__(self) -> None:
        low = {"batch": 1, "max_new_tokens": 1, "bootstrap": 0, "gallery": 0}
        if wrong := [f"{name}={getattr(self, name)}" for name, least in low.items() if getattr(self, name) < least]:
            raise ConfigError(f"{', '.join(wrong)}: batch and max_new_tokens start at 1, others at 0")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit={self.limit} leaves no face; null = all")


class Question(NamedTuple):
    """One face to ask about."""

    record: FaceRecord
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    text: str

    @property
    def key(self) -> Key:
        return self.record.source, self.record.id


class Job(NamedTuple):
    """A checked config with all that it names."""

    config: EvalConfig
    benchmark: Benchmark
    protocol: AUProtocol | None
    faces: RecordSet
    questions: list[Question]
    skipped: int
    """Records of the split that the benchmark or the mode cannot score."""
    fingerprint: dict[str, Any]

    @property
    def max_pixels(self) -> int:
        """The pixel budget in force."""
        return int(self.fingerprint["max_pixels"])


def ask(record: FaceRecord, mode: Mode) -> Question:
    """The question evaluation asks about a record: the first wording, the labels of the record's own set."""
    parts = asked_parts(mode, record)
    labels = LABEL_SETS[record.label_set].labels if record.label_set else ()
    scorable = {"au", "answer"} & set(parts)
    return Question(record, parts, labels, question(parts, labels) if scorable else "")


def prepare(config: EvalConfig) -> Job:
    """Check everything that can be checked before a model is loaded.

    Raises:
        ConfigError: an unknown benchmark or protocol, no records there, or none that can be scored.
    """
    benchmark = plug(BENCHMARKS, config.benchmark, "benchmark")
    protocol = find_protocol(config.protocol or benchmark.protocol)
    try:
        faces = read(config.records, config.split)
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(str(e)) from e
    asked = [ask(r, config.mode) for r in faces.records if benchmark.keep(r)]
    asked = [q for q in asked if q.text]
    if not asked:
        raise ConfigError(f"none of the {len(faces.records)} records of {config.records} ({config.split}) can be "
                          f"scored by benchmark {benchmark.name} in mode {config.mode}: see their labels")  # fmt: skip
    fingerprint = _fingerprint(config, sorted({q.text for q in asked}))
    return Job(config, benchmark, protocol, faces, asked[: config.limit], len(faces.records) - len(asked), fingerprint)


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
    shards = sorted(Path(config.records).glob("records-*.parquet"))
    return {
        "model": config.model,
        "weights": _weights(config.model),
        "records": _digest(*(path.read_bytes() for path in shards)),
        "prompts": _digest(*(text.encode() for text in prompts)),
        **{key: getattr(config, key) for key in ("mode", "reader", "max_new_tokens")},
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
                          f"{min(strange)[1]}: split, limit or benchmark changed; choose another out")  # fmt: skip
    return {key: row for key, row in rows.items() if row.error is None}, before["engine"]
