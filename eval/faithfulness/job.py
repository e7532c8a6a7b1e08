"""A checked faithfulness run: the config, the faces it asks about, and which answers are there from before."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eval.faithfulness.album import Album
from eval.faithfulness.inquiry import PLAIN, Face, Said, read_answers
from eval.frame.folders import folders, read_together
from eval.frame.predictions import Key, read_predictions
from eval.probes import PROBES
from facevlm.checkpoint import folder, pixel_budget
from facevlm.config import ConfigError, doc
from facevlm.generate import EngineName
from facevlm.prompts import variant


@dataclass(frozen=True)
class FaithfulConfig:
    records: str = doc("folder of records made by data_builders.build; several with commas between")
    model: str = doc("checkpoint folder, adapter folder, Hub name, or \"tiny\" for the embedded model")
    out: str = doc("folder to write to; an unfinished run there goes on")
    split: str | None = doc("which split of the records; null = all", default="test")
    probes: list[str] = doc("what is tested: " + ", ".join(PROBES), default_factory=lambda: list(PROBES))
    limit: int | None = doc("at most so many faces, spread over the people; null = all", default=None)
    predictions: str | None = doc("folder of a finished eval.run of this model, mode explain, over these faces: its "
                                  "answers are the plain ones, the rest alone is asked; null = ask",
                                  default=None)  # fmt: skip
    engine: EngineName = doc("what runs the model", default="auto")
    batch: int = doc("questions handed to the engine at a time", default=64)
    max_new_tokens: int = doc("longest answer", default=256)
    max_pixels: int | None = doc("most pixels of a face; null = as the model was trained", default=None)
    bootstrap: int = doc("resamples for the 95 % intervals; 0 = none", default=1000)
    seed: int = doc("of the resamples, of the faces chosen, and of what is laid over and paired", default=0)
    gallery: int = doc("faces shown in the report; 0 = none, for pictures that must not be copied", default=6)

    def __post_init__(self) -> None:
        low = {"batch": 1, "max_new_tokens": 1, "bootstrap": 0, "gallery": 0}
        if wrong := [f"{name}={getattr(self, name)}" for name, least in low.items() if getattr(self, name) < least]:
            raise ConfigError(f"{', '.join(wrong)}: batch and max_new_tokens start at 1, others at 0")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit={self.limit} leaves no face; null = all")
        if unknown := [name for name in self.probes if name not in PROBES]:
            raise ConfigError(f"unknown probes {', '.join(map(repr, unknown))}; known: {', '.join(PROBES)}")
        if not self.probes or len(set(self.probes)) < len(self.probes):
            raise ConfigError(f"probes={self.probes}: name at least one, each once; known: {', '.join(PROBES)}")


class Job(NamedTuple):
    """A checked config with all that it names."""

    config: FaithfulConfig
    faces: list[Face]
    whole: int
    """Faces of the split, before the limit."""
    album: Album
    fingerprint: dict[str, Any]


def spread(faces: list[Face], limit: int | None, seed: int) -> list[Face]:
    """At most so many faces, in their order: a first one of everybody, then a second one …; drawn by seed and id."""
    if limit is None or limit >= len(faces):
        return faces
    turns: Counter[str] = Counter()
    ranked = []
    for face in sorted(faces, key=lambda face: (variant(seed, face.record.id, 2**32), face.key)):
        ranked.append((turns[face.who], variant(seed, face.who, 2**32), face.key))
        turns[face.who] += 1
    chosen = {key for _, _, key in sorted(ranked)[:limit]}
    return [face for face in faces if face.key in chosen]


def prepare(config: FaithfulConfig) -> Job:
    """Check everything that can be checked before a model is loaded.

    Raises:
        ConfigError: no records, or none in the split.
    """
    try:
        faces = read_together(config.records)
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(str(e)) from e
    whole = [Face.of(r) for r in faces.records if config.split is None or r.split == config.split]
    if not whole:
        raise ConfigError(f"{config.records} has no records in split {config.split!r}; it has "
                          f"{sorted({r.split for r in faces.records})}: set split, or null for all")  # fmt: skip
    chosen = spread(whole, config.limit, config.seed)
    max_pixels = config.max_pixels or pixel_budget(config.model)
    fingerprint = {
        "model": config.model,
        "weights": [[path.name, path.stat().st_size, path.stat().st_mtime_ns]
                    for path in sorted(folder(config.model).glob("*.safetensors"))],
        "records": _digest(config.records), "prompts": sorted({face.text() for face in chosen}),
        "split": config.split, "limit": config.limit, "seed": config.seed, "max_new_tokens": config.max_new_tokens,
        "max_pixels": max_pixels,
    }  # fmt: skip
    return Job(config, chosen, len(whole), Album(faces, max_pixels), fingerprint)


def _digest(records: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for shard in (shard for path in folders(records) for shard in sorted(path.glob("records-*.parquet"))):
        digest.update(hashlib.blake2b(shard.read_bytes()).digest())
    return digest.hexdigest()


def resume(job: Job) -> tuple[dict[tuple[Key, str], Said], str | None]:
    """The answers that are there already, and the engine that gave them. A picture that failed is tried again.

    Raises:
        ConfigError: they were made in another way.
    """
    out = Path(job.config.out)
    path = out / "answers.jsonl"
    if not (out / "run.json").is_file():
        if path.exists():
            raise ConfigError(f"{out} holds answers but no run.json on how they were made; choose another out")
        return _taken_over(job) if job.config.predictions else ({}, None)
    before, now = json.loads((out / "run.json").read_text()), json.loads(json.dumps(job.fingerprint))
    if changed := [key for key in now if before["fingerprint"].get(key) != now[key]]:
        pairs = "; ".join(f"{key} was {before['fingerprint'].get(key)!r}, is {now[key]!r}" for key in changed)
        raise ConfigError(f"{out} holds a run made in another way: {pairs}. Choose another out, or remove it first")
    found = {said.key: said for said in read_answers(path)} if path.is_file() else {}
    return {key: said for key, said in found.items() if said.error is None}, before["engine"]


def _taken_over(job: Job) -> tuple[dict[tuple[Key, str], Said], str | None]:
    """The plain answers out of a finished `eval.run`.

    Raises:
        ConfigError: there is none, it asked another model or in another way, or it has no answer for any face here.
    """
    place = Path(str(job.config.predictions))
    try:
        before = json.loads((place / "run.json").read_text())
        rows = read_predictions(place / "predictions.jsonl")
    except OSError as e:
        raise ConfigError(f"predictions={place}: {e.strerror}: give the folder of a finished eval.run") from e
    alike = ("model", "weights", "max_new_tokens", "max_pixels")
    now = json.loads(json.dumps(job.fingerprint))
    if odd := [key for key in alike if before["fingerprint"].get(key) != now[key]]:
        raise ConfigError(f"predictions={place} were made with another {', '.join(odd)} than this run has; leave "
                          "predictions out, or run alike")  # fmt: skip
    faces = {face.key: face for face in job.faces}
    found = {}
    for row in rows:
        face = faces.get(row.key)
        if face is not None and row.error is None and (row.parts, row.offered, row.task) == (
                face.parts(), face.labels, "explain"):  # fmt: skip
            said = Said(row.id, row.source, PLAIN, text=row.text, prompt_tokens=row.prompt_tokens,
                        completion_tokens=row.completion_tokens, seconds=row.seconds)  # fmt: skip
            found[said.key] = said
    if not found:
        raise ConfigError(f"predictions={place} hold no answer in mode explain about any of these {len(faces)} faces; "
                          "leave predictions out, or name the run over these records")  # fmt: skip
    return found, before["engine"]
