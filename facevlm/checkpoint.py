"""Where a model lies and what it was trained with; light, so that commands can check a name before torch is loaded."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facevlm.config import ConfigError
from facevlm.record import whole_file

EMBEDDED = Path(__file__).parent / "tiny" / "weights"
"""The model that ships with the package; configs call it "tiny"."""

FACTS = "facevlm.json"
"""Beside a model's weights: what it was trained with and must be served with."""

DEFAULT_MAX_PIXELS = 512 * 512


class ModelError(ConfigError):
    """A model that cannot be loaded; the text says what was given and what to do."""


def folder(model: str) -> Path:
    """Where a model's files would lie, whether they are there or not."""
    return EMBEDDED if model == "tiny" else Path(model).expanduser()


def resolve(name: str) -> str:
    """The folder or Hub name that a config's `model` means.

    Raises:
        ModelError: it looks like a folder but there is none.
    """
    path = folder(name)
    if path.is_dir():
        if not any((path / f).exists() for f in ("config.json", "adapter_config.json")):
            raise ModelError(
                f"{name} has no config.json and no adapter_config.json: no model was saved there"
            )
        return str(path)
    hub_like = name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name.split("/")[0]).is_dir()
    if not hub_like:
        raise ModelError(f"model {name!r} does not exist; give a folder with a saved model, a Hub name such as "
                         "Qwen/Qwen3-VL-4B-Instruct, or tiny for the embedded model")  # fmt: skip
    return name


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter's folder and rank."""

    path: str
    rank: int


def adapter_of(path: str) -> tuple[str, Adapter | None]:
    """(base, None) for a full model; (its base model, the adapter) for a folder that holds a LoRA adapter."""
    file = Path(path) / "adapter_config.json"
    if not file.is_file() or (Path(path) / "config.json").is_file():
        return path, None
    facts = json.loads(file.read_text())
    return resolve(facts["base_model_name_or_path"]), Adapter(path, int(facts["r"]))


def write_facts(target: Path | str, **facts: Any) -> None:
    """Write `facevlm.json` beside a model."""
    with whole_file(Path(target) / FACTS) as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n")


def read_facts(model: str) -> dict[str, Any]:
    """What a model of ours was trained with (`max_pixels`, `tasks`, `base` …); empty for any other model."""
    file = folder(model) / FACTS
    return json.loads(file.read_text()) if file.is_file() else {}


def pixel_budget(model: str) -> int:
    """The most pixels a picture may have for this model: as it was trained, or 512 x 512 where nothing says."""
    return int(read_facts(model).get("max_pixels", DEFAULT_MAX_PIXELS))
