"""JSONL of `messages` and `images` with an <image> tag for each picture: one file that two trainers read.

{"messages": [{"role": "user", "content": "<image>Which emotion …"}, {"role": "assistant", "content": "<answer>…"}],
 "images": ["a.jpg"], "record_id": "…", "source": "…", "task": "label"}

Rules, by ms-swift 4.6 and LLaMA-Factory 0.9.5: roles alternate, user first, assistant last; as many <image> as images;
contents are strings; no column is named like one that has a meaning of its own (`label`, `objects`, `tools` …).
dataset_info.json is LLaMA-Factory's. It says `sharegpt`, not `openai`: that one puts "detailed thinking off" before
every row. The pictures come right before the question, without a break, as facevlm itself shows them.
"""

import json
from pathlib import Path
from typing import Any

from data_builders.outgoing import Export, Format

RESERVED = ("<image>", "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>", "<start-image>")
"""What one of the two replaces by something else wherever it stands in a text."""


def conversation(example: dict[str, Any]) -> dict[str, Any]:
    """A row; the tags stand before the question."""
    tags = "<image>" * len(example["images"])
    messages = [{"role": "user", "content": tags + example["prompt"][0]["content"]}, example["completion"][0]]
    return {"messages": messages, **{key: example[key] for key in ("images", "record_id", "source", "task")}}


def _reserved(example: dict[str, Any]) -> bool:
    texts = (example["prompt"][0]["content"], example["completion"][0]["content"])
    return any(tag in text for text in texts for tag in RESERVED)


def _write(export: Export, folder: Path) -> None:
    info = {}
    for split in export.rows:
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for example in export.examples(split):
                if _reserved(example):
                    # A caption from the web may hold anything; the trainer would look for one picture more.
                    export.left_out["its text holds a tag of the trainers, such as <image>"] += 1
                else:
                    file.write(json.dumps(conversation(example), ensure_ascii=False) + "\n")
        info[f"{export.name}_{split}"] = {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                     "system_tag": "system"},
        }  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")


def _load(export: Export) -> str:
    val = f" --val_dataset {export.out}/val.jsonl" if "val" in export.rows else ""
    train = next(iter(export.rows))
    relative = export.base is not None
    media = f"\nmedia_dir: {export.base}" if relative else ""
    return f"""\
ms-swift (4.6). `--strict true` stops at a row that it cannot read; without it such rows are dropped.

```
{f"ROOT_IMAGE_DIR={export.base} " if relative else ""}swift sft --model Qwen/Qwen3-VL-4B-Instruct --use_hf true \\
  --dataset {export.out}/{train}.jsonl{val} \\
  --tuner_type lora --max_pixels 262144 --strict true --output_dir runs/swift
```

LLaMA-Factory (0.9): `llamafactory-cli train sft.yaml` with this in sft.yaml. Keep a template that ends in `nothink`:
the other ones put an empty `<think>` before every answer that has none, which misses the answer form.

```yaml
model_name_or_path: Qwen/Qwen3-VL-4B-Instruct
stage: sft
do_train: true
finetuning_type: lora
dataset_dir: {export.out}{media}
dataset: {export.name}_{train}
template: qwen3_vl_nothink
cutoff_len: 4096
image_max_pixels: 262144
output_dir: runs/llama-factory
```"""


CONVERSATIONS = Format("ms-swift and LLaMA-Factory", _write, _load)
