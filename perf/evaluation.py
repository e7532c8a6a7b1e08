"""What evaluation costs beside the engine: python -m perf.evaluation --model runs/modes --faces 512

`run` is `eval.run` from the records to predictions.jsonl: picture files read, decoded and cut to size, questions
written, vLLM in this process, answers read and written down; in mode label with the probability of every label. `bare`
is vLLM's own `LLM.chat` on the same messages at once, with the pictures decoded in memory and no probabilities. Both
start with empty prefix and picture caches, in interleaved rounds after a warm-up; loading is not counted, nor the
scores and the page, which `after` gives. Both write the same tokens, which is checked. Medians of the rounds'
ratios; cpu_share is of CPU seconds. Last line: JSON.

The model must have been taught all three modes, or its answers are as long in one as in another:

    python -m facevlm.sft --config configs/quickstart/sft.yaml out=runs/modes 'tasks={explain: 1, fast: 1, label: 1}'
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from data_builders.build import Config, build
from eval.frame.job import EvalConfig, Job, prepare
from eval.run import predict, run
from facevlm.answer import MODES, Mode
from facevlm.generate import VLLM
from facevlm.images import load_face


class Clock(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float
    """Of all threads of this process, the engine's included: what else runs on the machine stays out of it."""


def jobs(folder: Path, args: argparse.Namespace) -> dict[Mode, Job]:
    """The evaluation of the same drawn faces in each mode."""
    options = {"subjects": args.faces, "per_subject": 1, "size": args.size}
    build(Config(source="synthetic", out=str(folder / "faces"), split={"val": 0, "test": 0}, options=options,
                 workers=1))  # fmt: skip
    return {mode: prepare(EvalConfig(benchmark="synthetic", records=str(folder / "faces"), split="train", mode=mode,
                                     model=args.model, out=str(folder / mode), batch=args.batch,
                                     max_new_tokens=args.tokens)) for mode in MODES}  # fmt: skip


def messages(job: Job) -> list[Any]:
    """What the run asks, with the pictures in memory."""
    found = []
    for q in job.questions:
        pictures = [load_face(path, q.record.still_box, job.max_pixels) for path in job.faces.paths(q.record)]
        parts = [{"type": "image_pil", "image_pil": picture} for picture in pictures]
        found.append([{"role": "user", "content": [*parts, {"type": "text", "text": q.text}]}])
    return found


def evaluated(engine: VLLM, job: Job) -> tuple[Clock, int]:
    """The time it took, and how many tokens were written."""
    shutil.rmtree(job.config.out, ignore_errors=True)
    start = begin(engine)
    rows, _ = predict(job, lambda: engine)
    return since(start), sum(row.completion_tokens for row in rows)


def bare(engine: VLLM, asked: list[Any], tokens: int) -> tuple[Clock, int]:
    """The time it took, and how many tokens were written."""
    from vllm import SamplingParams

    start = begin(engine)
    outputs = engine.llm.chat(asked, SamplingParams(temperature=0.0, max_tokens=tokens), use_tqdm=False)
    return since(start), sum(len(output.outputs[0].token_ids) for output in outputs)


def begin(engine: VLLM) -> Clock:
    """Drop the pictures and prompts of the round before, and look at the clock."""
    engine.llm.reset_prefix_cache()
    engine.llm.reset_mm_cache()
    return Clock(time.perf_counter(), time.process_time())


def since(start: Clock) -> Clock:
    return Clock(time.perf_counter() - start.wall, time.process_time() - start.cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--faces", type=int, default=512)
    parser.add_argument("--size", type=int, default=144, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=int, default=EvalConfig.batch, help="faces handed to the engine at a time")
    parser.add_argument("--tokens", type=int, default=96, help="longest answer")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    engine = VLLM(args.model, dtype="float32", max_model_len=1024)
    times: dict[tuple[Mode, str], list[Clock]] = {}
    with tempfile.TemporaryDirectory() as folder:
        asked = {mode: (job, messages(job)) for mode, job in jobs(Path(folder), args).items()}
        written = {mode: evaluated(engine, job)[1] for mode, (job, _) in asked.items()}  # warm-up
        for i in range(args.rounds):
            for mode, (job, chats) in asked.items():
                for way in ("run", "bare") if i % 2 else ("bare", "run"):  # each goes first in turn
                    took, tokens = evaluated(engine, job) if way == "run" else bare(engine, chats, args.tokens)
                    if tokens != written[mode]:
                        raise SystemExit("the two ways wrote different answers: nothing can be compared")
                    times.setdefault((mode, way), []).append(took)
        start = time.perf_counter()
        run(asked["explain"][0], lambda: engine)  # everything is answered: what remains are scores and page
        after = time.perf_counter() - start
    print(json.dumps(report(times, written, args.faces) | {"after_seconds": round(after, 1)}))


def report(times: dict[tuple[Mode, str], list[Clock]], written: dict[Mode, int], faces: int) -> dict[str, Any]:
    """Images per second, the share of the bare engine's, and how the modes compare; medians over rounds."""
    speed = {key: faces / statistics.median(one.wall for one in some) for key, some in times.items()}
    found: dict[str, Any] = {"faces": faces}
    for mode, tokens in written.items():
        rounds = list(zip(times[mode, "run"], times[mode, "bare"], strict=True))
        found[mode] = {"tokens_per_image": round(tokens / faces, 1),
                       "share": round(statistics.median(bare.wall / run.wall for run, bare in rounds), 3),
                       "cpu_share": round(statistics.median(bare.cpu / run.cpu for run, bare in rounds), 3)}
        found[mode] |= {way: round(speed[mode, way], 1) for way in ("run", "bare")}
    others: tuple[Mode, ...] = ("fast", "label")
    for mode in others:
        rounds = list(zip(times["explain", "run"], times[mode, "run"], strict=True))
        found[f"{mode}_over_explain"] = round(statistics.median(long.wall / short.wall for long, short in rounds), 2)
        found[f"cpu_{mode}_over_explain"] = round(statistics.median(long.cpu / short.cpu for long, short in rounds), 2)
    return found


if __name__ == "__main__":
    main()
