"""Processor, model, LoRA: loading what a config names, the same way for training, evaluation and serving."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
)

from facevlm.record import whole_file

Quant = Literal["none", "8bit", "4bit"]
Freeze = Literal["none", "vision", "vision+projector"]

EMBEDDED = Path(__file__).parent / "tiny" / "weights"
"""The model that ships with the package; configs call it "tiny"."""

FACTS = "facevlm.json"
"""Beside a model's weights: what it was trained with and must be served with."""

DEFAULT_MAX_PIXELS = 512 * 512


class ModelError(ValueError):
    """A model that cannot be loaded; the text says what was given and what to do."""


def resolve(name: str) -> str:
    """The folder or Hub name that a config's `model` means.

    Raises:
        ModelError: it looks like a folder but there is none.
    """
    if name == "tiny":
        return str(EMBEDDED)
    path = Path(name).expanduser()
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


def _load(loader: Any, path: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(path, **options)
    except OSError as e:
        raise ModelError(f"cannot load {path!r}: {str(e).splitlines()[0]}. Give a folder with a saved model, a Hub "
                         "name that can be reached from here, or tiny for the embedded model") from e  # fmt: skip


def load_processor(model: str) -> ProcessorMixin:
    """The processor of a model, adapter or Hub name.

    Raises:
        ModelError: it cannot be loaded.
    """
    path = resolve(model)
    if not (Path(path) / "tokenizer_config.json").is_file():
        path = adapter_of(path)[0]
    return _load(AutoProcessor, path)


def load_model(model: str, dtype: str = "auto", quant: Quant = "none", merge_adapter: bool = False,
               attn: str | None = None) -> PreTrainedModel:  # fmt: skip
    """The model of a config.

    Args:
        dtype: "auto" = as stored, else bfloat16 or float32.
        quant: bitsandbytes quantisation of the language model's linear layers (QLoRA needs "4bit").
        merge_adapter: fold a LoRA adapter into the weights; else it is left on top, trainable.
        attn: transformers' attention implementation; None = its default.

    Raises:
        ModelError: it cannot be loaded.
    """
    base, adapter = adapter_of(resolve(model))
    options: dict[str, Any] = {"dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
    if quant != "none":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_8bit=quant == "8bit", load_in_4bit=quant == "4bit", bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16,
        )  # fmt: skip
    if attn is not None:
        options["attn_implementation"] = attn
    loaded: PreTrainedModel = _load(AutoModelForImageTextToText, base, **options)
    if adapter is not None:
        tuned = PeftModel.from_pretrained(loaded, adapter.path, is_trainable=not merge_adapter)
        loaded = tuned.merge_and_unload() if merge_adapter else tuned
    return loaded


def training_dtype() -> str:
    """bfloat16 where the hardware trains in it; float32 on CPUs, whose optimizer steps would be lost in rounding."""
    return "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"


_VISION = ("visual", "vision_tower", "vision_model", "vision_encoder", "image_encoder")
_PROJECTOR = ("merger", "multi_modal_projector", "connector", "projector", "mlp1")


def vision_part(name: str) -> Literal["vision", "projector", ""]:
    """Which part of a vision-language model a parameter or module belongs to, by its dotted name; "" = language."""
    steps = name.split(".")
    if any(step.startswith(_PROJECTOR) or step.endswith("merger_list") for step in steps):
        return "projector"
    return "vision" if any(step in _VISION for step in steps) else ""


def freeze(model: PreTrainedModel, what: Freeze) -> int:
    """Stop gradients of the vision tower, or of the tower and projector; returns how many parameters rest.

    Raises:
        ModelError: the model has no part that looks like a vision tower.
    """
    if what == "none":
        return 0
    parts = ("vision",) if what == "vision" else ("vision", "projector")
    frozen = 0
    for name, parameter in model.named_parameters():
        if vision_part(name) in parts:
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    if not frozen:
        raise ModelError(f"freeze: {what} found no vision tower in {type(model).__name__}; use freeze: none")
    return frozen


def lora_config(options: dict[str, Any] | None, model: PreTrainedModel) -> LoraConfig | None:
    """peft's config from a YAML mapping; default targets are all linear layers of the language model alone.

    Raises:
        ModelError: a key that peft does not know.
    """
    if options is None:
        return None
    options = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "task_type": "CAUSAL_LM", **options}
    if "target_modules" not in options:
        # vLLM serves adapters of the language model only, and small face sets spoil a good tower quickly.
        options["target_modules"] = [
            name for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and not vision_part(name) and not name.endswith("lm_head")
        ]  # fmt: skip
    try:
        return LoraConfig(**options)
    except TypeError as e:
        raise ModelError(f"lora: {e}; the keys are those of peft.LoraConfig") from e


def write_facts(folder: Path | str, **facts: Any) -> None:
    """Write `facevlm.json` beside a model."""
    with whole_file(Path(folder) / FACTS) as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n")


def read_facts(model: str) -> dict[str, Any]:
    """What a model of ours was trained with (`max_pixels`, `modes`, `base` …); empty for any other model."""
    file = Path(resolve(model)) / FACTS
    return json.loads(file.read_text()) if file.is_file() else {}


def pixel_budget(model: str) -> int:
    """The most pixels a picture may have for this model: as it was trained, or 512 x 512 where nothing says."""
    return int(read_facts(model).get("max_pixels", DEFAULT_MAX_PIXELS))
