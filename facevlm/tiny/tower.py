"""Stage 1 of the embedded model: its vision tower learns to see action units."""

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import Qwen3VLForConditionalGeneration

from facevlm.images import region_boxes
from facevlm.tiny.faces import FACE_AUS
from facevlm.tiny.model import HIDDEN, MERGE, PATCH, SIDE
from facevlm.tiny.population import BASE_SUBJECTS, BASE_TEST_SUBJECTS, THRESHOLD, draw, independent_aus
from facevlm.vocab import AUS


def patches(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """What Qwen's image processor makes of B x SIDE x SIDE x 3 pictures: (B * patches) x (3 * 2 * PATCH * PATCH)."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    n, g = x.shape[0], SIDE // PATCH // MERGE
    x = x.reshape(n, 3, g, MERGE, PATCH, g, MERGE, PATCH).permute(0, 2, 5, 3, 6, 1, 4, 7)
    return x.unsqueeze(6).expand(*x.shape[:6], 2, PATCH, PATCH).reshape(-1, 3 * 2 * PATCH * PATCH)


def grid(n: int) -> torch.Tensor:
    """`image_grid_thw` of n pictures: n x 3."""
    return torch.tensor([[1, SIDE // PATCH, SIDE // PATCH]] * n)


class Batch(NamedTuple):
    """n random faces: pictures n x SIDE x SIDE x 3; levels n x AUs (-1 = hidden, not labelled); weights n x AUs x
    tokens, the share of each vision token in the AU's region; landmarks n x 136, scaled to -1..1."""

    pictures: NDArray[np.uint8]
    levels: NDArray[np.int64]
    weights: NDArray[np.float32]
    landmarks: NDArray[np.float32]


def faces(n: int, subjects: range, rng: np.random.Generator) -> Batch:
    """n random faces with independent AUs."""
    cells = SIDE // PATCH // MERGE
    batch = Batch(np.empty((n, SIDE, SIDE, 3), np.uint8), np.full((n, len(FACE_AUS)), -1),
                  np.zeros((n, len(FACE_AUS), cells, cells), np.float32), np.empty((n, 136), np.float32))  # fmt: skip
    for i in range(n):
        sample = draw(subjects[int(rng.integers(len(subjects)))], independent_aus(rng), rng, SIDE)
        batch.pictures[i] = np.asarray(sample.face.image)
        batch.landmarks[i] = sample.face.landmarks.ravel() * (2 / SIDE) - 1
        regions = region_boxes(sample.face.landmarks)
        for j, au in enumerate(FACE_AUS):
            batch.levels[i, j] = sample.aus.get(au, -1)
            for box in regions[AUS[au].region]:
                x0, y0, x1, y1 = np.clip(np.array(box) / (PATCH * MERGE), 0, cells - 1e-6)
                batch.weights[i, j, int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = 1
    batch.weights[:] /= batch.weights.sum((2, 3), keepdims=True)
    return batch


def macro_f1(predicted: NDArray[np.bool_], levels: NDArray[np.int64]) -> float:
    """Mean F1 of AU presence over the AUs, over labelled cells only."""
    known, truth = levels >= 0, levels >= THRESHOLD
    hit = (predicted & truth & known).sum(0)
    return float(np.mean(2 * hit / np.maximum((predicted & known).sum(0) + (truth & known).sum(0), 1)))


def schedule(step: int, steps: int, warmup: int = 100) -> float:
    """Linear warm-up, then cosine to 2 % of the peak."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(model: Qwen3VLForConditionalGeneration, steps: int, batch: int, seed: int) -> None:
    """Stage 1: AU presence by binary cross-entropy over labelled AUs, from the tokens of the AU's own region and from
    the pooled picture, with landmark regression beside it. The region term tells it where to look."""
    tower = model.model.visual
    head = nn.ModuleDict({"token": nn.Linear(HIDDEN, len(FACE_AUS)), "pooled": nn.Linear(2 * HIDDEN, len(FACE_AUS)),
                          "points": nn.Linear(2 * HIDDEN, 136)})  # fmt: skip
    optimizer = torch.optim.AdamW([*tower.parameters(), *head.parameters()], lr=0.0, weight_decay=0.05,
                                  betas=(0.9, 0.98))  # fmt: skip
    rng = np.random.default_rng((seed, 1))
    test = faces(512, BASE_TEST_SUBJECTS, np.random.default_rng((seed, 2)))
    bce = nn.functional.binary_cross_entropy_with_logits

    def outputs(pictures: NDArray[np.uint8], weights: NDArray[np.float32]) -> tuple[torch.Tensor, ...]:
        tokens = tower(patches(pictures), grid_thw=grid(len(pictures))).pooler_output
        tokens = (torch.cat(list(tokens)) if isinstance(tokens, tuple | list) else tokens).reshape(
            len(pictures), -1, HIDDEN)  # fmt: skip
        pooled = torch.cat([tokens.mean(1), tokens.amax(1)], -1)
        local = (head["token"](tokens).transpose(1, 2) * torch.from_numpy(weights).flatten(2)).sum(-1)
        return local, head["pooled"](pooled), head["points"](pooled)

    start = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1.5e-3 * schedule(step, steps)
        b = faces(batch, BASE_SUBJECTS, rng)
        local, pooled, points = outputs(b.pictures, b.weights)
        y = torch.from_numpy(b.levels)
        truth, known = (y >= THRESHOLD).float(), (y >= 0).float()
        au_loss = bce(local, truth, weight=known) + bce(pooled, truth, weight=known)
        loss = au_loss + 2 * nn.functional.l1_loss(points, torch.from_numpy(b.landmarks))
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            with torch.no_grad():
                guess = [
                    outputs(test.pictures[i : i + 128], test.weights[i : i + 128])[:2] for i in range(0, 512, 128)
                ]
            scores = [macro_f1((torch.cat(g) > 0).numpy(), test.levels) for g in zip(*guess, strict=True)]
            print(f"tower {step + 1}/{steps} AU loss {au_loss.item():.4f} test AU macro-F1 by region {scores[0]:.3f} "
                  f"by picture {scores[1]:.3f} {time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
