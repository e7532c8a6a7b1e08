"""What `facevlm.analyze` can be told, and what follows from it before anything is read."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from facevlm import config as configs
from facevlm.analyze.weights import digest
from facevlm.answer import MODES, Mode, Part
from facevlm.checkpoint import pixel_budget, read_facts
from facevlm.config import ConfigError, doc
from facevlm.generate import EngineName, installed
from facevlm.prompts import question
from facevlm.vocab import LABEL_SETS

FILES = (".jsonl", ".parquet")
"""Endings of an output that is one file; anything else is a folder of parts."""


@dataclass(frozen=True)
class Config:
    inputs: list[str] = doc("pictures, videos, folders of both, globs in quotes, .tar and .zip archives, .parquet "
                            "tables with a picture column, .txt lists of paths")  # fmt: skip
    model: str = doc("folder of a trained model, Hub name, or tiny")
    out: str = doc("a file, .jsonl or .parquet, or a folder that gets Parquet parts")
    engine: EngineName = doc("auto (vLLM where installed), vllm, transformers", default="auto")
    mode: Mode = doc("explain (thinking, AUs, emotion), fast (AUs, emotion) or label (emotion)", default="explain")
    label_set: str | None = doc("emotions on offer, by label set; null = those the model was tuned on", default=None)
    detector: str = doc("finds the faces: whole (a picture is one face), hog, yunet …, or package.module:function",
                        default="whole")  # fmt: skip
    detector_options: dict[str, Any] = doc("the detector's own arguments, such as model: path of its model file",
                                           default_factory=dict)  # fmt: skip
    min_face: int = doc("shortest side in pixels of a face that is still asked about", default=16)
    batch: int = doc("faces handed to the engine at a time", default=256)
    max_new_tokens: int = doc("longest answer in tokens", default=512)
    max_pixels: int | None = doc("most pixels of a face; null = as the model was trained", default=None)
    workers: int | None = doc("threads that decode ahead; null = one for each CPU", default=None)
    column: str = doc("column of a .parquet table that holds the pictures: bytes, {bytes, path}, or paths",
                      default="image")  # fmt: skip
    carry: list[str] = doc("columns of the tables to carry along, as given_<name>", default_factory=list)
    root: str | None = doc("folder that relative paths in lists and tables start from; null = that of the list",
                           default=None)  # fmt: skip
    every: float = doc("seconds between the frames taken of a video", default=0.5)
    smooth: float = doc("seconds of a track that are averaged around a frame", default=2.0)
    overlap: float = doc("least overlap (intersection over union) of two boxes of one face in a video", default=0.3)
    part: int = doc("pictures in a part: what a kill costs at most", default=1024)
    limit: int | None = doc("stop after so many pictures", default=None)
    shard: str | None = doc("do the i-th of n shares of the parts, as i/n, 1/4 to 4/4, on machines that share `out`",
                            default=None)  # fmt: skip
    ray: bool = doc("run on the cluster that Ray finds, or on a local one", default=False)
    replicas: int = doc("engines on the Ray cluster", default=1)

    def __post_init__(self) -> None:
        counts = ("min_face", "batch", "max_new_tokens", "max_pixels", "workers", "part", "limit", "replicas")
        faults = [f"{name} {value} is below 1" for name in counts
                  if (value := getattr(self, name)) is not None and value < 1]  # fmt: skip
        faults += [f"{name} {getattr(self, name)} is no number of seconds above 0" for name in ("every", "smooth")
                   if not 0 < getattr(self, name) < float("inf")]  # fmt: skip
        if not 0 < self.overlap <= 1:
            faults.append(f"overlap {self.overlap} is not within 0-1")
        if self.label_set is not None and self.label_set not in LABEL_SETS:
            faults.append(f"label_set {self.label_set!r} is unknown; known: {', '.join(LABEL_SETS)}")
        if self.shard is not None and not _share(self.shard):
            faults.append(f"shard {self.shard!r} is not i/n, such as 1/4 to 4/4")
        if self.shard is not None and (self.in_one_file or self.ray):
            faults.append(f"shard {self.shard!r} needs a folder as `out`, and no Ray: each share writes its own parts")
        if self.ray and self.engine == "transformers":
            faults.append("ray runs vLLM engines: engine transformers cannot be had with it")
        if Path(self.out).suffix in (".json", ".csv", ".txt", ".pq"):
            faults.append(f"out {self.out!r} must end in .jsonl or .parquet, or be a folder")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def in_one_file(self) -> bool:
        return Path(self.out).suffix in FILES

    @property
    def parts_folder(self) -> Path:
        """Where the parts lie; hidden beside an output that is one file."""
        out = Path(self.out)
        return out.with_name(f".{out.name}.parts") if self.in_one_file else out

    @property
    def share(self) -> tuple[int, int]:
        """(i, n): this run does the parts whose number leaves i when divided by n."""
        return _share(self.shard or "1/1") or (0, 1)

    @property
    def threads(self) -> int:
        return self.workers or os.cpu_count() or 1


def _share(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
    return (int(match[1]) - 1, int(match[2])) if match and int(match[1]) <= int(match[2]) else None


@dataclass(frozen=True)
class Job:
    """A config with what follows from it and from the model beside it."""

    config: Config
    engine: str
    """Which engine answers."""
    weights: str | None
    """See `weights.digest`; None where the caller brought the engine, too."""

    @cached_property
    def labels(self) -> Sequence[str]:
        """The emotions to choose from."""
        if self.config.label_set is not None:
            return LABEL_SETS[self.config.label_set].labels
        return tuple(read_facts(self.config.model).get("labels") or LABEL_SETS["basic8"].labels)

    @property
    def asked(self) -> Sequence[Part]:
        """What an answer must hold."""
        return MODES[self.config.mode]

    @cached_property
    def text(self) -> str:
        """The question."""
        return question(self.asked, self.labels)

    @cached_property
    def max_pixels(self) -> int:
        return self.config.max_pixels or pixel_budget(self.config.model)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that the answers, and which picture is in which part, depend on, beside the pictures."""
        config = self.config
        return {
            "model": config.model, "weights": self.weights, "engine": self.engine, "mode": config.mode,
            "prompt_sha256": hashlib.sha256(self.text.encode()).hexdigest(), "max_pixels": self.max_pixels,
            "max_new_tokens": config.max_new_tokens, "detector": config.detector,
            "detector_options": config.detector_options, "min_face": config.min_face, "every": config.every,
            "column": config.column, "carry": config.carry, "part": config.part,
        }  # fmt: skip

    @cached_property
    def provenance(self) -> str:
        """What a row was made with, as JSON."""
        names = ("model", "weights", "engine", "mode", "prompt_sha256", "max_pixels", "detector")
        return json.dumps({name: self.fingerprint[name] for name in names} | {"versions": configs.versions()})


def job(config: Config, engine: str | None = None) -> Job:
    """The job of a config; `engine` names one that the caller brought.

    Raises:
        facevlm.checkpoint.ModelError: there is no such model.
    """
    if engine is not None:
        return Job(config, engine, None)
    here = installed()
    return Job(config, here[0] if config.engine == "auto" and here else config.engine, digest(config.model))
