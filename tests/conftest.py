"""What the heavy tests share: a model and records small enough for a CPU.

Nothing heavy is imported here before a fixture asks for it: the light tests start in a moment.
"""

import os
from pathlib import Path

import pytest

# Read when huggingface_hub, trl and vllm are imported: no hub, no telemetry, whoever starts the tests.
os.environ |= {
    "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRL_TELEMETRY": "0", "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the embedded model's architecture in random weights, and its processor. Read only."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    from facevlm.tiny import tokens
    from facevlm.tiny.model import MERGE, PATCH, SIDE, config

    folder = tmp_path_factory.mktemp("models") / "random"
    processor = tokens.processor(SIDE, PATCH, MERGE)
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config(processor))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed" not in name:
                parameter.mul_(3)  # fresh weights are so small that the model mostly repeats its last token
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn faces built by the public command: 24 to train on and 8 of other subjects to test on, each
    with AU and emotion labels and a rationale. Read only."""
    from data_builders.build import Config, build

    out = tmp_path_factory.mktemp("faces") / "built"
    build(Config(source="synthetic", out=str(out), options={"subjects": 8, "per_subject": 4, "size": 64},
                 split={"by": "subject", "val": 0.0, "test": 0.25, "seed": 1}, rationale="template",
                 workers=1))  # fmt: skip
    return out


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a LoRA adapter of `tiny_model` that changes what it says. Read only."""
    import torch
    from peft import get_peft_model

    from facevlm.model import load_model, lora_config

    folder = tmp_path_factory.mktemp("models") / "adapter"
    model = load_model(str(tiny_model))
    torch.manual_seed(1)
    # Without init_lora_weights=False a fresh adapter adds nothing.
    options = {"r": 8, "lora_alpha": 64, "init_lora_weights": False}
    get_peft_model(model, lora_config(options, model)).save_pretrained(folder)
    return folder
