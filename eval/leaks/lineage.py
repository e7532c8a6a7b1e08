"""What a model was trained on: the chain of training runs behind it, from the files that each has left.

    runs/grpo (data/raf, train) <- runs/sft (data/raf, train) <- Qwen/Qwen3-VL-4B-Instruct (nobody here can tell)

Each stage writes `config.yaml` beside its weights: which records it learned from, and from which model it started.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from facevlm.checkpoint import EMBEDDED, folder, read_facts
from facevlm.config import ConfigError, read_yaml

CHECKPOINT = "checkpoint-"
"""How TRL names what it saves on the way."""

LONGEST = 100
"""Stages after which a chain is taken to bite its own tail."""


class Stage(NamedTuple):
    """One training run behind a model."""

    model: str
    """Folder or name."""
    kind: str
    """sft, grpo, dpo, embedded, or "unknown"."""
    records: str | None
    """The folder of records it learned from."""
    split: str | None
    limit: int | None
    """Only the first so many records of the split."""
    pairs: str | None
    """The folder of preference pairs, where it learned from these."""
    unknown: str | None
    """Why what it learned from cannot be told; None = it can."""


def run_of(model: str) -> Path:
    """The folder of the training run that a model is of: that of "runs/sft/checkpoint-100" is "runs/sft"."""
    path = folder(model)
    return path.parent if path.name.startswith(CHECKPOINT) else path


def lineage(model: str) -> list[Stage]:
    """The stages behind a model, the last one first. The chain ends where no file tells of an earlier one.

    Raises:
        ConfigError: a config file of a run is not readable YAML.
    """
    found: list[Stage] = []
    name: str | None = model
    while name is not None and len(found) < LONGEST:
        stage, name = _stage(name)
        found.append(stage)
    return found


def _nothing(model: str, kind: str, why: str) -> Stage:
    return Stage(model, kind, None, None, None, None, why)


def _stage(model: str) -> tuple[Stage, str | None]:
    """A stage, and the model it started from; None = the chain ends."""
    path = run_of(model)
    if path.resolve() == EMBEDDED.resolve():
        return Stage(model, "embedded", None, None, None, None, None), None
    if not path.is_dir():
        return _nothing(model, "unknown", f"{model} is no folder here: no file tells what it was trained on"), None
    kind = str(read_facts(str(path)).get("stage", "unknown"))
    file = path / "config.yaml"
    config: dict[str, Any] = read_yaml(file).get("config", {}) if file.is_file() else {}
    if "model" not in config:
        base = read_facts(str(path)).get("base") or _adapted(path)
        why = f"{path} has no config.yaml of a training run: what it was trained on cannot be told"
        return _nothing(model, kind, why), base
    start = str(config["model"])
    if config.get("pairs"):
        return _paired(model, kind, str(config["pairs"]), config.get("limit")), start
    if not config.get("records"):
        return _nothing(model, kind, f"{path}/config.yaml names no records"), start
    stage = Stage(model, kind, str(config["records"]), config.get("split", "train"), config.get("limit"), None, None)
    return stage, start


def _adapted(path: Path) -> str | None:
    """The base of a LoRA adapter."""
    file = path / "adapter_config.json"
    return json.loads(file.read_text()).get("base_model_name_or_path") if file.is_file() else None


def _paired(model: str, kind: str, pairs: str, limit: int | None) -> Stage:
    """A stage that learned from pairs of answers: about which records, the pairs' own config tells."""
    file = Path(pairs).expanduser() / "config.yaml"
    try:
        config = read_yaml(file).get("config", {})
    except ConfigError as e:
        return Stage(model, kind, None, None, limit, pairs, f"its pairs cannot be looked up: {e}")
    return Stage(model, kind, str(config.get("records")), config.get("split"), limit, pairs, None)
