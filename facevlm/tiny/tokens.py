"""The embedded model's tokenizer and processor: byte-level BPE with one token for each AU, Qwen's chat form."""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

from facevlm.tiny.lessons import vocabulary
from facevlm.vocab import AUS

VOCAB = 1024

END = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")  # fmt: skip
TAGS = ("<think>", "</think>", "<au>", "</au>", "<answer>", "</answer>")
"""One token each, but ordinary ones: TRL drops special tokens before rewards see a completion."""

# Qwen2's splitting rule: words with their leading blank, single digits, runs of punctuation.
_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")  # fmt: skip

CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part['type'] == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- endif -%}
"""


def tokenizer() -> Qwen2Tokenizer:
    """Train the tokenizer on `lessons.vocabulary`; the same on every machine."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(pattern=Regex(_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    raw.decoder = decoders.ByteLevel()
    added = len(SPECIAL) + len(TAGS) + len(AUS)
    trainer = trainers.BpeTrainer(vocab_size=VOCAB - added, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)  # fmt: skip
    raw.train_from_iterator(vocabulary(), trainer)
    state = json.loads(raw.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in state["merges"]]
    made = Qwen2Tokenizer(vocab=state["vocab"], merges=merges, unk_token=None, bos_token=None,
                          **END)
    made.add_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL], special_tokens=True)
    made.add_tokens([AddedToken(t, special=False, normalized=False) for t in TAGS])
    made.add_tokens([AddedToken(f"AU{n}", special=False, normalized=False, single_word=True) for n in AUS])
    return made


def processor(side: int, patch: int, merge: int) -> Qwen3VLProcessor:
    """The processor: pictures are scaled to about `side` x `side` pixels, `patch` and `merge` as in the model."""
    pixels = {"shortest_edge": side * side, "longest_edge": side * side}
    images = Qwen2VLImageProcessor(patch_size=patch, merge_size=merge, temporal_patch_size=2, size=pixels,
                                   image_mean=[0.5] * 3, image_std=[0.5] * 3)  # fmt: skip
    videos = Qwen3VLVideoProcessor(patch_size=patch, merge_size=merge, temporal_patch_size=2)
    return Qwen3VLProcessor(image_processor=images, tokenizer=tokenizer(), video_processor=videos,
                            chat_template=CHAT_TEMPLATE)  # fmt: skip
