"""The embedded model's architecture: a Qwen3-VL of 3.4 million parameters."""

from transformers import Qwen3VLConfig
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

SIDE = 112
"""Side of the picture the model sees, in pixels."""
PATCH, MERGE = 8, 2
HIDDEN = 192


def config(processor: Qwen3VLProcessor) -> Qwen3VLConfig:
    """The configuration that fits the processor's tokens."""
    ids = {t: processor.tokenizer.convert_tokens_to_ids(f"<|{t}|>") for t in ("image_pad", "video_pad", "vision_start",
           "vision_end", "im_end", "endoftext")}  # fmt: skip
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer), "eos_token_id": ids["im_end"], "pad_token_id": ids["endoftext"],
            "hidden_size": HIDDEN, "intermediate_size": 512, "num_hidden_layers": 4,
            "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 32, "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5],
                                "mrope_interleaved": True},
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4, "hidden_size": 128, "intermediate_size": 512, "num_heads": 4, "patch_size": PATCH,
            "spatial_merge_size": MERGE, "temporal_patch_size": 2, "out_hidden_size": HIDDEN,
            "num_position_embeddings": (SIDE // PATCH) ** 2, "deepstack_visual_indexes": [2],
        },
        tie_word_embeddings=True, image_token_id=ids["image_pad"], video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"], vision_end_token_id=ids["vision_end"],
    )  # fmt: skip
