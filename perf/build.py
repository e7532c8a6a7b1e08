"""How fast a build is: rows a second of labels alone, and pictures a second beside bare decoding.

    python perf/build.py                      # about six minutes
    python perf/build.py rows=100000 faces=2000

labels     a csv of `rows` rows (subject, emotion, 12 AUs) through the whole build, one process, no pictures: rows/s,
           and the process's peak memory.
pictures   `faces` JPEG files of 448 pixels, and three times as many of 224: a build that decodes, hashes and compares
           each, beside Pillow opening and decoding the same files to RGB in as many processes. Both are timed in
           turns, three times; medians. The build's time holds all of it: labels, processes, comparing, writing.

The last line is one JSON object.
"""

import csv
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from data_builders.build import Config, build
from facevlm.tiny.population import draw, emotional_aus

AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
REPEATS = 3
_CHILD = """
import json, resource, sys, time
from data_builders.build import Config, build
start = time.perf_counter()
build(Config(**json.loads(sys.argv[1])))
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10]))
"""


def labels(folder: Path, rows: int) -> tuple[float, float]:
    """Rows a second and peak MiB of a build from labels alone, in a process of its own."""
    rng = random.Random(0)
    with (folder / "labels.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file", "person", "emotion", *(f"AU{n:02d}" for n in AUS)])
        for i in range(rows):
            # As in real sets: few of the 4,096 sets of AUs, and some that are not labelled.
            shown = set(rng.sample(AUS, rng.choice((0, 1, 2, 2, 3))))
            out.writerow([f"frames/{i // 200:05d}/{i:07d}.jpg", f"S{i // 200:05d}", rng.choice(EMOTIONS),
                          *(9 if n == 24 and i % 50 == 0 else int(n in shown) for n in AUS)])  # fmt: skip
    columns = {"media": "file", "subject": "person", "emotion": "emotion", "aus": "AU{n}"}
    options = {"labels": "labels.csv", "label_set": "basic7", "au_missing": [9], "columns": columns}
    config = {"source": "table", "root": str(folder), "out": str(folder / "out"), "check_images": False,
              "options": options}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", _CHILD, json.dumps(config)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return rows / seconds, peak


def draw_faces(folder: Path, n: int, side: int) -> None:
    """Drawn faces with a photograph's grain, so that a file has a photograph's size."""
    import numpy as np

    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 6, (side + 64, side + 64, 3)).astype(np.int16)
    for i in range(n):
        face = draw(i, emotional_aus("happiness", rng), rng, 112, 0.1, "happiness").face.image
        pixels = np.asarray(face.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        x, y = rng.integers(0, 64, 2)
        pixels = (pixels + grain[y : y + side, x : x + side]).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"pictures/{i}.jpg", quality=92)
    lines = [f"{i}.jpg,p{i},happiness" for i in range(n)]
    (folder / "labels.csv").write_text("file,person,emotion\n" + "\n".join(lines) + "\n")


def _decode(paths: list[str]) -> None:
    for path in paths:
        Image.open(path).convert("RGB").load()


def bare(folder: Path, workers: int) -> float:
    """Seconds for Pillow alone, the processes' start included, as it is in the build's time."""
    paths = sorted(str(p) for p in (folder / "pictures").glob("*.jpg"))
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_decode, [paths[i : i + 256] for i in range(0, len(paths), 256)]))
    return time.perf_counter() - start


def checked(folder: Path, workers: int) -> float:
    """Seconds for a whole build with pictures decoded, hashed and compared."""
    config = Config(source="table", root=str(folder), out=str(folder / "out"), workers=workers, options={
        "labels": "labels.csv", "label_set": "basic7", "media_pattern": "pictures/{}",
        "columns": {"media": "file", "subject": "person", "emotion": "emotion"}})  # fmt: skip
    start = time.perf_counter()
    kept = build(config).kept
    seconds = time.perf_counter() - start
    shutil.rmtree(folder / "out")
    if kept != len(list((folder / "pictures").glob("*.jpg"))):
        sys.exit(f"error: only {kept} pictures were kept: the two sides did not do the same work")
    return seconds


def pictures(n: int, side: int) -> tuple[float, float]:
    """Pictures a second, of Pillow alone and of a whole build."""
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_faces(folder, n, side)
        size = sum(p.stat().st_size for p in (folder / "pictures").iterdir()) / n
        runs = [(bare(folder, workers), checked(folder, workers)) for _ in range(REPEATS)]
    one, two = (n / statistics.median(column) for column in zip(*runs, strict=True))
    print(f"{n} pictures of {side} px, {size / 1024:.0f} KiB: Pillow {one:,.0f}/s, build {two:,.0f}/s", flush=True)
    return one, two


def main() -> None:
    given = dict(item.split("=", 1) for item in sys.argv[1:])
    rows, faces = int(given.pop("rows", 1_000_000)), int(given.pop("faces", 6000))
    if given:
        sys.exit(f"error: unknown keys {sorted(given)}; known: rows, faces")
    with tempfile.TemporaryDirectory() as name:
        per_second, peak = labels(Path(name), rows)
    print(f"labels: {per_second:,.0f} rows/s on one core, {peak:,.0f} MiB at most", flush=True)
    large, small = pictures(faces, 448), pictures(3 * faces, 224)
    found: dict[str, float] = {"label_rows_per_s": round(per_second), "label_peak_mib": round(peak), "rows": rows}
    for side, (plain, whole) in ((448, large), (224, small)):
        found |= {f"pictures_per_s_{side}": round(whole), f"vs_decode_{side}": round(whole / plain, 2)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
