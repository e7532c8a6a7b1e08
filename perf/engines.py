"""Engines side by side on the same faces: python perf/engines.py --model tiny --faces 256

transformers one picture at a time (what papers ship), transformers in batches, vLLM: each answers the same questions
about the same drawn faces, in interleaved rounds after a warm-up; start-up is not counted. One pixel differs between
rounds: vLLM would answer a picture that it has seen out of its caches. Last line: JSON with images per second and the
ratios.
"""

import argparse
import json
import statistics
import time

import numpy as np

from facevlm.answer import MODES
from facevlm.generate import Generator, Request, Transformers, engine, installed
from facevlm.prompts import question
from facevlm.tiny.population import draw, independent_aus
from facevlm.vocab import LABEL_SETS


def requests(n: int) -> list[Request]:
    """n questions about n drawn faces."""
    rng = np.random.default_rng(0)
    text = question(MODES["explain"], LABEL_SETS["basic8"].labels)
    return [Request((draw(i, independent_aus(rng), rng, 112).face.image,), text) for i in range(n)]


def mark(asked: list[Request], turn: int) -> None:
    """Make pictures that no cache knows of those that were asked about before."""
    for request in asked:
        request.images[0].putpixel((0, 0), (turn, 0, 0))


def seconds(generator: Generator, asked: list[Request], tokens: int) -> float:
    start = time.perf_counter()
    generator.generate(asked, tokens)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=96, help="longest answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="of all engines: float32 or bfloat16")
    parser.add_argument("--compiled", action="store_true", help="vLLM compiles the model")
    args = parser.parse_args()
    asked = requests(args.faces)
    few = max(8, args.faces // 16)  # one at a time is slow: fewer faces, per-image time
    ways: dict[str, tuple[Generator, int]] = {
        "one": (Transformers(args.model, batch=1, dtype=args.dtype), few),
        "batched": (Transformers(args.model, batch=64, dtype=args.dtype), args.faces),
    }
    if "vllm" in installed():
        ways["vllm"] = (engine(args.model, "vllm", dtype=args.dtype, compiled=args.compiled or None), args.faces)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for generator, _ in ways.values():
        generator.generate(asked[:8], args.tokens)
    for turn in range(args.rounds):
        mark(asked, 1 + turn)
        for name, (generator, n) in ways.items():
            times[name].append(seconds(generator, asked[:n], args.tokens) / n)
    speed = {name: 1 / statistics.median(t) for name, t in times.items()}
    found = {f"{name}_images_per_second": round(v, 1) for name, v in speed.items()}
    if "vllm" in speed:
        found |= {"vllm_vs_one": round(speed["vllm"] / speed["one"], 2),
                  "vllm_vs_batched": round(speed["vllm"] / speed["batched"], 2)}  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main()
