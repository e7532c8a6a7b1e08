"""Random models of the classes that real checkpoints have, through SFT, GRPO and generation as those take them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from facevlm import sft
from facevlm.checkpoint import adapter_of, read_facts
from facevlm.generate import Request, Transformers
from facevlm.images import load_face
from facevlm.model import load_model, vision_part
from facevlm.record import read
from facevlm.tiny.tokens import CHAT_TEMPLATE, tokenizer
from rl import grpo

SIDE = 112
MERGE = 2
SIZE = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 2048, "tie_word_embeddings": True}  # fmt: skip


def _ids(words: Any) -> dict[str, int]:
    """The token ids that a Qwen-VL config names."""
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad", "vision_start_token_id": "vision_start",
             "vision_end_token_id": "vision_end"}  # fmt: skip
    return {key: words.convert_tokens_to_ids(f"<|{token}|>") for key, token in names.items()}


def _text(words: Any, **keys: Any) -> dict[str, Any]:
    ends = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    return {**TEXT, **ends, "vocab_size": len(words), **keys}


def qwen2_5_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    """Windowed attention in the tower, patches of 14."""
    words = tokenizer()
    images = Qwen2VLImageProcessor(patch_size=14, merge_size=MERGE, temporal_patch_size=2, size=SIZE)
    videos = Qwen2VLVideoProcessor(patch_size=14, merge_size=MERGE, temporal_patch_size=2)
    config = Qwen2_5_VLConfig(
        text_config=_text(words, rope_parameters={"rope_type": "default", "rope_theta": 1e4,
                                                  "mrope_section": [2, 3, 3]}),
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14,
                       "spatial_merge_size": MERGE, "temporal_patch_size": 2, "out_hidden_size": 64,
                       "window_size": 56, "fullatt_block_indexes": [1]},
        tie_word_embeddings=True, **_ids(words),
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config), Qwen2_5_VLProcessor(images, words, videos, CHAT_TEMPLATE)


def qwen3_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    """Features of two depths of the tower in the language model, patches of 16, weights of words not shared."""
    words = tokenizer()
    images = Qwen2VLImageProcessor(patch_size=16, merge_size=MERGE, temporal_patch_size=2, size=SIZE)
    videos = Qwen3VLVideoProcessor(patch_size=16, merge_size=MERGE, temporal_patch_size=2)
    config = Qwen3VLConfig(
        text_config=_text(words, head_dim=32, tie_word_embeddings=False,
                          rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5],
                                           "mrope_interleaved": True}),
        vision_config={"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 16,
                       "spatial_merge_size": MERGE, "temporal_patch_size": 2, "out_hidden_size": 64,
                       "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
        tie_word_embeddings=False, **_ids(words),
    )  # fmt: skip
    return Qwen3VLForConditionalGeneration(config), Qwen3VLProcessor(images, words, videos, CHAT_TEMPLATE)


Family = Callable[[], tuple[PreTrainedModel, ProcessorMixin]]


@pytest.fixture(scope="module", params=[qwen2_5_vl, qwen3_vl], ids=lambda family: family.__name__)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of one class in random weights, as if downloaded. Read only."""
    family: Family = request.param
    folder = tmp_path_factory.mktemp("checkpoints") / family.__name__
    torch.manual_seed(0)
    model, processor = family()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def trained(kind: Any, model: Path, records: Path, out: Path, lora: dict[str, Any] | None, **trainer: Any) -> Path:
    """Run one step of SFT or GRPO with a config of that kind; the folder of the finished model."""
    options = {"max_steps": 1, "learning_rate": 1e-3, "warmup_steps": 0, "disable_tqdm": True, "report_to": "none",
               "logging_steps": 1, **trainer}  # fmt: skip
    kind.run(kind.Config(model=str(model), records=str(records), out=str(out), lora=lora, trainer=options))
    return out


@pytest.fixture(scope="module", params=[None, {"r": 4}], ids=["full", "lora"])
def stages(request: pytest.FixtureRequest, checkpoint: Path, records: Path,
           tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:  # fmt: skip
    """Folders of the checkpoint, of its SFT run, and of the GRPO run that went on from that."""
    runs = tmp_path_factory.mktemp("runs")
    tuned = trained(sft, checkpoint, records, runs / "sft", request.param, per_device_train_batch_size=4)
    return checkpoint, tuned, trained(grpo, tuned, records, runs / "grpo", request.param, num_generations=4,
                                      per_device_train_batch_size=8, max_completion_length=8)  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All weights, with an adapter folded in."""
    return dict(load_model(str(folder), merge_adapter=True).named_parameters())


def test_sft_moves_the_language_model_and_leaves_the_tower(stages: tuple[Path, Path, Path]) -> None:
    before, after = weights(stages[0]), weights(stages[1])
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and "" in {vision_part(name) for name in moved}
    assert not any(vision_part(name) == "vision" for name in moved)


def test_weights_stay_finite(stages: tuple[Path, Path, Path]) -> None:
    assert all(p.isfinite().all() for p in weights(stages[2]).values())


def test_grpo_goes_on_from_sft_and_is_served_from_the_same_base(stages: tuple[Path, Path, Path]) -> None:
    first, tuned, rewarded = stages
    base, adapter = adapter_of(str(rewarded))
    assert base == str(first if adapter else rewarded)
    assert read_facts(str(rewarded))["base"] == str(tuned)
    if adapter:
        files = [load_file(folder / "adapter_model.safetensors") for folder in (tuned, rewarded)]
        assert files[0].keys() == files[1].keys()


def test_finished_model_answers_about_faces(stages: tuple[Path, Path, Path], records: Path) -> None:
    found = read(records, "test")
    pictures = [load_face(found.path(record)) for record in found.records[:3]]
    engine = Transformers(str(stages[2]), dtype="float32")
    texts = [f"{'Please. ' * i}Which emotion does this face show?" for i in range(3)]
    asked = [Request((picture,), text) for picture, text in zip(pictures, texts, strict=True)]
    together = engine.generate(asked, max_new_tokens=4)
    assert together == [engine.generate([request], max_new_tokens=4)[0] for request in asked]
    side = SIDE // engine.processor.image_processor.patch_size // MERGE
    assert together[0].prompt_tokens > side**2
