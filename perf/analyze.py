"""facevlm.analyze from files against its bare engine: python perf/analyze.py --model runs/quickstart/grpo --faces 256

The same JPEG files, in interleaved rounds after a warm-up: the engine alone, given pictures that are decoded and in
budget already, and the whole command from folder to Parquet with the same engine. Start-up is not counted. Last line:
JSON with the pictures per second of each and the share that the command keeps.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from facevlm.analyze import Config, run
from facevlm.analyze.answering import answers
from facevlm.analyze.settings import Job
from facevlm.generate import Generator, engine
from facevlm.images import load_face
from facevlm.tiny.population import draw, independent_aus


def save_faces(folder: Path, n: int, side: int) -> list[Path]:
    """n drawn faces as JPEG files of side x side pixels."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(n):
        face = draw(i, independent_aus(rng), rng, 112).face.image
        paths.append(folder / f"{i:05d}.jpg")
        face.resize((side, side), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def bare(job: Job, generator: Generator, pictures: list[Image.Image]) -> float:
    start = time.perf_counter()
    for i in range(0, len(pictures), job.config.batch):
        answers(job, generator, pictures[i : i + job.config.batch])
    return time.perf_counter() - start


def command(config: Config, generator: Generator) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        run(config, generator)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--side", type=int, default=640, help="of the JPEG files, in pixels")
    parser.add_argument("--mode", default="explain", choices=("explain", "fast", "label"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "faces").mkdir()
        paths = save_faces(folder / "faces", args.faces, args.side)
        config = Config([str(folder / "faces")], args.model, str(folder / "out.parquet"), mode=args.mode,
                        batch=args.batch, max_new_tokens=96)  # fmt: skip
        generator = engine(args.model)
        job = Job(config, generator.engine, None)
        pictures = [load_face(path, max_pixels=job.max_pixels) for path in paths]
        bare(job, generator, pictures[:8])
        times: dict[str, list[float]] = {"engine": [], "analyze": []}
        for _ in range(args.rounds):
            times["engine"].append(bare(job, generator, pictures))
            times["analyze"].append(command(config, generator))
    speed = {name: args.faces / statistics.median(t) for name, t in times.items()}
    shares = [e / a for e, a in zip(times["engine"], times["analyze"], strict=True)]
    print(json.dumps({f"{name}_images_per_second": round(v, 1) for name, v in speed.items()}
                     | {"analyze_vs_engine": round(statistics.median(shares), 3),
                        "mode": args.mode, "side": args.side, "faces": args.faces}))  # fmt: skip


if __name__ == "__main__":
    main()
