"""What the teacher loop costs beside the engine: python perf/teacher.py --faces 256

`write` is `Teacher.write` as a build calls it, one try: picture files read, decoded and cropped, prompts written, vLLM
in this process, replies read and checked. `chat` is vLLM's own `LLM.chat` on the very same messages, sampling
parameters and pictures, which lie ready in memory, decoded. Both start with empty prefix and picture caches, in
interleaved rounds after a warm-up; loading is not counted. Both write the same tokens, which is checked.
Last line: JSON; share_of_chat = seconds of chat / seconds of write, medians.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_builders.build import Config, build
from data_builders.teacher import Teacher, make
from facevlm.generate import VLLM, Reply, Request
from facevlm.record import FaceRecord, read


class Recorder:
    """Passes on to an engine, and keeps what was asked and answered last."""

    engine = "vllm"

    def __init__(self, inner: VLLM) -> None:
        self.inner = inner
        self.asked: list[Request] = []
        self.replies: list[Reply] = []

    def generate(self, requests: Any, max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        self.asked = list(requests)
        self.replies = self.inner.generate(requests, max_new_tokens, temperature, seed)
        return self.replies


def faces(folder: Path, n: int, size: int) -> tuple[list[FaceRecord], Path]:
    """n drawn faces without rationales, and where their pictures lie."""
    options = {"subjects": n, "per_subject": 1, "size": size}
    build(Config(source="synthetic", out=str(folder / "faces"), options=options, workers=1))
    found = read(folder / "faces")
    return [replace(record, rationale=None, rationale_by=None) for record in found.records], found.root


def empty(engine: VLLM) -> None:
    """Forget the pictures and prompts of the round before."""
    engine.llm.reset_prefix_cache()
    engine.llm.reset_mm_cache()


def write(teacher: Teacher, engine: VLLM, records: list[FaceRecord], root: Path) -> float:
    empty(engine)
    start = time.perf_counter()
    teacher.write(records, root)
    return time.perf_counter() - start


def chat(engine: VLLM, messages: list[Any], params: Any, tokens: int) -> float:
    empty(engine)
    start = time.perf_counter()
    outputs = engine.llm.chat(messages, params, use_tqdm=False)
    took = time.perf_counter() - start
    if sum(len(o.outputs[0].token_ids) for o in outputs) != tokens:
        raise SystemExit("the two ways wrote different answers: nothing can be compared")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--kind", default="teacher", choices=["teacher", "policy"])
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--size", type=int, default=144, help="side of the pictures in pixels")
    parser.add_argument("--tokens", type=int, default=96, help="longest answer")
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    options = {"model": args.model, "engine": "vllm", "tries": 1, "temperature": 0.0, "max_new_tokens": args.tokens,
               "engine_options": {"dtype": "float32", "max_model_len": 2048}}  # fmt: skip
    teacher = make(args.kind, options)
    engine = teacher.generator
    if not isinstance(engine, VLLM):
        raise SystemExit("this needs vLLM")
    recorder = Recorder(engine)
    teacher.generator = recorder
    with tempfile.TemporaryDirectory() as folder:
        records, root = faces(Path(folder), args.faces, args.size)
        write(teacher, engine, records, root)  # warm-up, and the requests to compare with
        parts = [[{"type": "image_pil", "image_pil": image} for image in r.images] for r in recorder.asked]
        messages = [[{"role": "user", "content": [*images, {"type": "text", "text": r.text}]}]
                    for r, images in zip(recorder.asked, parts, strict=True)]  # fmt: skip
        from vllm import SamplingParams

        params = SamplingParams(temperature=0.0, max_tokens=args.tokens)
        tokens = sum(reply.completion_tokens for reply in recorder.replies)
        times: dict[str, list[float]] = {"write": [], "chat": []}
        for i in range(args.rounds):  # each goes first in turn
            for way in ("write", "chat") if i % 2 else ("chat", "write"):
                times[way].append(write(teacher, engine, records, root) if way == "write" else
                                  chat(engine, messages, params, tokens))  # fmt: skip
    middle = {name: statistics.median(t) for name, t in times.items()}
    print(json.dumps({"faces": len(records), "tokens_per_reply": round(tokens / len(records), 1),
                      "write_faces_per_second": round(len(records) / middle["write"], 1),
                      "chat_faces_per_second": round(len(records) / middle["chat"], 1),
                      "share_of_chat": round(middle["chat"] / middle["write"], 3)}))  # fmt: skip


if __name__ == "__main__":
    main()
