"""Make the embedded model: python -m facevlm.tiny.make

A Qwen3-VL of 3.4 million parameters that reads the schematic faces of `facevlm.tiny.faces`. Three stages: the vision
tower learns AU presence (`tower`); the whole model learns to name the AUs it sees and the words of FACS (`speech`);
it is measured on subjects it has never seen. It is left a *base*: it knows neither the answer form of
`facevlm.answer` nor which emotion goes with which AUs.

Each stage leaves its weights in --work and is not run again while they are there. With the default numbers it takes
about an hour on two CPU cores.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLForConditionalGeneration

from facevlm.config import versions
from facevlm.record import whole_folder
from facevlm.tiny import speech, tokens, tower
from facevlm.tiny.lessons import LIST_QUESTION
from facevlm.tiny.model import MERGE, PATCH, SIDE, config
from facevlm.tiny.population import BASE_SUBJECTS, BASE_TEST_SUBJECTS

TEST_FACES = 1024

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
tags: [facevlm, action-units, synthetic]
---
# facevlm-tiny-base

The model that ships inside facevlm: a Qwen3-VL with {parameters:,} parameters that reads schematic faces
(`facevlm.tiny.faces`). It is a test bench, so that every path can be walked on a laptop. **It knows nothing about
people: never use it on a photograph of anyone.**

It is a base model: it names the action units it sees and knows the words of FACS. It has not been taught facevlm's
answer form, nor which emotion goes with which action units: that is what `facevlm.sft` and `rl.grpo` are for.

- **Made by** `python -m facevlm.tiny.make --seed {seed} --tower-steps {tower_steps} --speech-steps {speech_steps}`
- **Trained on** drawn faces of subjects {train}; AUs drawn independently of each other, without emotions.
- **Measured** AU presence macro-F1 **{score:.3f}** over 18 AUs (present from intensity B), on {n} faces of subjects
  {test}, none of them seen in training: the model was asked "{question}" and its greedy answer was read.
- **Versions** {versions}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/tiny"), help="folder for what each stage leaves")
    parser.add_argument("--out", type=Path, default=Path("runs/tiny/weights"), help="folder of the finished model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tower-steps", type=int, default=2000)
    parser.add_argument("--speech-steps", type=int, default=700)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    processor = tokens.processor(SIDE, PATCH, MERGE)
    model = Qwen3VLForConditionalGeneration(config(processor))
    stages = (("tower", model.model.visual, lambda: tower.train(model, args.tower_steps, 64, args.seed)),
              ("speech", model, lambda: speech.train(model, processor, args.speech_steps, 32, args.seed)))  # fmt: skip
    for name, part, run in stages:
        file = args.work / f"{name}.safetensors"
        if file.exists():
            part.load_state_dict(load_file(file), strict=False)  # tied weights are stored once
            continue
        run()
        save_file({k: v.contiguous() for k, v in part.state_dict().items() if k != "lm_head.weight"}, file)
    model = model.to(torch.bfloat16).float().eval()  # measured as it is stored
    score = speech.measure(model, processor, TEST_FACES, args.seed)
    size = sum(p.numel() for p in model.parameters())
    card = CARD.format(parameters=size, seed=args.seed, score=score, n=TEST_FACES,
                       tower_steps=args.tower_steps, speech_steps=args.speech_steps, train=_span(BASE_SUBJECTS),
                       test=_span(BASE_TEST_SUBJECTS), question=LIST_QUESTION,
                       versions=", ".join(f"{k} {v}" for k, v in versions().items() if k != "commit"))  # fmt: skip
    with whole_folder(args.out) as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        processor.save_pretrained(folder)
        (folder / "README.md").write_text(card)
        (folder / "score.json").write_text(json.dumps({"au_macro_f1": round(score, 4), "n": TEST_FACES}) + "\n")
    print(f"AU macro-F1 {score:.3f} on {TEST_FACES} faces of unseen subjects; written to {args.out}")


def _span(subjects: range) -> str:
    return f"{subjects[0]}-{subjects[-1]}"


if __name__ == "__main__":
    main()
