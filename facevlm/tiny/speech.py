"""Stage 2 of the embedded model: the whole of it learns to name the AUs it sees, and the words of FACS."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from facevlm.tiny.faces import FACE_AUS
from facevlm.tiny.lessons import LIST_QUESTION, Turn, about_face, about_words
from facevlm.tiny.model import MERGE, PATCH, SIDE
from facevlm.tiny.population import BASE_SUBJECTS, BASE_TEST_SUBJECTS
from facevlm.tiny.tower import faces, grid, macro_f1, patches, schedule
from facevlm.vocab import parse_au

IGNORE = -100


def encode(turns: Sequence[Turn], processor: Qwen3VLProcessor, picture: bool) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and its labels: the ids where the assistant speaks, IGNORE elsewhere."""
    tokens = "<|image_pad|>" * (SIDE // PATCH // MERGE) ** 2
    ids: list[int] = []
    labels: list[int] = []
    for i, (asked, answer) in enumerate(turns):
        seen = f"<|vision_start|>{tokens}<|vision_end|>" if picture and i == 0 else ""
        for text, learn in ((f"<|im_start|>user\n{seen}{asked}<|im_end|>\n<|im_start|>assistant\n", False),
                            (f"{answer}<|im_end|>", True), ("\n", False)):  # fmt: skip
            piece: list[int] = processor.tokenizer(text)["input_ids"]
            ids += piece
            labels += piece if learn else [IGNORE] * len(piece)
    return ids, labels


def batch(n: int, processor: Qwen3VLProcessor, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """n conversations about fresh faces and n // 4 about words alone, as model inputs."""
    drawn = faces(n, BASE_SUBJECTS, rng)
    rows = []
    for levels in drawn.levels:
        known = {au: int(v) for au, v in zip(FACE_AUS, levels, strict=True) if v >= 0}
        rows.append(encode(about_face(known, rng), processor, picture=True))
    rows += [encode(about_words(rng), processor, picture=False) for _ in range(n // 4)]
    length = max(len(ids) for ids, _ in rows)
    image, pad = (processor.tokenizer.convert_tokens_to_ids(t) for t in ("<|image_pad|>", "<|endoftext|>"))
    ids = torch.tensor([ids + [pad] * (length - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORE] * (length - len(labels)) for _, labels in rows])
    return {"input_ids": ids, "labels": labels, "attention_mask": (ids != pad).long(),
            "mm_token_type_ids": (ids == image).int(), "pixel_values": patches(drawn.pictures),
            "image_grid_thw": grid(n)}  # fmt: skip


def measure(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, n: int, seed: int) -> float:
    """AU presence macro-F1 of the model's own words, on n faces of subjects it has never seen."""
    test = faces(n, BASE_TEST_SUBJECTS, np.random.default_rng((seed, 3)))
    said = np.zeros(test.levels.shape, bool)
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": LIST_QUESTION}]}
    text = processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    for start in range(0, n, 64):
        pictures = [Image.fromarray(p) for p in test.pictures[start : start + 64]]
        inputs = processor(images=pictures, text=[text] * len(pictures), return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=64, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        for i, answer in enumerate(processor.tokenizer.batch_decode(out, skip_special_tokens=True)):
            for item in answer.split(", "):
                if item.startswith("AU") and parse_au(item) in FACE_AUS:
                    said[start + i, FACE_AUS.index(parse_au(item))] = True
    return macro_f1(said, test.levels)


def train(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, steps: int, size: int,
          seed: int) -> None:  # fmt: skip
    """Next-token training on `lessons`. The tower rests for the first half, then follows at a tenth of the rate:
    gradients of an untrained language model would spoil what it has learned to see."""
    tower = list(model.model.visual.blocks.parameters()) + list(model.model.visual.patch_embed.parameters())
    slow = {id(p) for p in tower}
    rest = [p for p in model.parameters() if id(p) not in slow]
    optimizer = torch.optim.AdamW([{"params": rest, "peak": 1.5e-3}, {"params": tower, "peak": 1.5e-4}], lr=0.0,
                                  weight_decay=0.02, betas=(0.9, 0.98))  # fmt: skip
    rng = np.random.default_rng((seed, 4))
    start = time.monotonic()
    for step in range(steps):
        for p in tower:
            p.requires_grad_(step >= steps // 2)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(step, steps)
        loss = model(**batch(size, processor, rng)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            score = measure(model, processor, 128, seed + 1)
            print(f"speech {step + 1}/{steps} loss {loss.item():.4f} test AU macro-F1 {score:.3f} "
                  f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
