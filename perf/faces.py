"""How fast faces are drawn: python perf/faces.py

Draws the same faces at two sizes, interleaved, on one core. Last line: JSON with `faces_per_second` at the size the
embedded model sees and `vs_double` (time of a face with four times the pixels over this one).
"""

import json
import statistics
import time

import numpy as np

from facevlm.tiny.population import draw, independent_aus

SIDE, FACES, ROUNDS = 112, 200, 7


def seconds(size: int) -> float:
    """Time to draw FACES faces of `size` pixels a side, always the same ones."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for subject in range(FACES):
        draw(subject, independent_aus(rng), rng, size)
    return time.perf_counter() - start


def main() -> None:
    seconds(SIDE)  # warm caches
    runs = [(seconds(SIDE), seconds(2 * SIDE)) for _ in range(ROUNDS)]
    small, large = (statistics.median(column) for column in zip(*runs, strict=True))
    print(json.dumps({"faces_per_second": round(FACES / small), "vs_double": round(large / small, 2)}))


if __name__ == "__main__":
    main()
