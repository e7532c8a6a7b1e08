"""How well a face detector finds faces, and how long it takes.

    python -m perf.detect faces=DIR detector=hog

`faces` holds portraits with landmarks.csv (file, x0, y0, x1, y1: the pupils) and labels.csv (file, subset), such as
the Face Research Lab London Set; pictures without landmarks whose subset is `empty` show no face. The last line is
JSON. A face counts as found by a box that holds both pupils and is 1.5 to 4 times as wide as they are apart; every
other box is a false one.
"""

import csv
import json
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from facevlm.config import doc, load
from facevlm.detect import DEFAULT, Detector, detector
from facevlm.images import decode
from facevlm.tiny.population import draw, emotional_aus

Eyes = list[tuple[float, float]]
Case = tuple[Image.Image, list[Eyes]]
GREY = (160, 160, 160)


@dataclass(frozen=True)
class Config:
    faces: str = doc("folder of portraits with landmarks.csv and labels.csv")
    detector: str = doc("detector to measure", default=DEFAULT)
    options: dict[str, object] = doc("its arguments", default_factory=dict)
    empty: str = doc("subset of labels.csv whose pictures show no face", default="rainbow")
    limit: int = doc("portraits to take", default=40)
    cases: list[str] = doc("which cases; empty = all", default_factory=list)


@dataclass
class Tally:
    """Counts of one case."""

    faces: int = 0
    found: int = 0
    false: int = 0
    milliseconds: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    """Width of a box that found a face, in distances between the pupils."""
    eye_lines: list[float] = field(default_factory=list)
    """Height of the pupils in such a box, 0 (top) to 1."""

    def add(self, find: Detector, picture: Image.Image, eyes: list[Eyes]) -> None:
        start = time.process_time()
        boxes = [face.box for face in find(picture)]
        self.milliseconds.append(1000 * (time.process_time() - start))
        used = set()
        for pair in eyes:
            apart = math.dist(*pair)
            for i, (left, top, right, bottom) in enumerate(boxes):
                holds = all(left < x < right and top < y < bottom for x, y in pair)
                if i not in used and holds and 1.5 <= (right - left) / apart <= 4:
                    used.add(i)
                    self.widths.append((right - left) / apart)
                    self.eye_lines.append(float((sum(y for _, y in pair) / 2 - top) / (bottom - top)))
                    break
        self.faces += len(eyes)
        self.found += len(used)
        self.false += len(boxes) - len(used)

    def summary(self) -> dict[str, object]:
        return {
            "pictures": len(self.milliseconds), "faces": self.faces, "found": self.found, "false": self.false,
            "cpu_ms": round(statistics.median(self.milliseconds), 1),
            "width": round(statistics.median(self.widths), 2) if self.widths else None,
            "eye_line": round(statistics.median(self.eye_lines), 2) if self.eye_lines else None,
        }  # fmt: skip


def tilted(case: Case, degrees: float) -> Case:
    picture, faces = case
    angle, cx, cy = math.radians(degrees), picture.width / 2, picture.height / 2

    def turn(x: float, y: float) -> tuple[float, float]:
        dx, dy = x - cx, y - cy
        return cx + dx * math.cos(angle) + dy * math.sin(angle), cy - dx * math.sin(angle) + dy * math.cos(angle)

    turned = picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=GREY)
    return turned, [[turn(x, y) for x, y in eyes] for eyes in faces]


def montage(cases: list[Case], size: tuple[int, int], face_width: float) -> Case:
    """Portraits side by side, each shrunk so that its face (2.5 distances between the pupils) has a given width."""
    canvas, faces = Image.new("RGB", size, GREY), []
    x = y = row = 0
    for picture, eyes in cases:
        scale = face_width / (2.5 * math.dist(*eyes[0]))
        small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
        if x + small.width > size[0]:
            x, y, row = 0, y + row, 0
        if y + small.height > size[1]:
            break
        canvas.paste(small, (x, y))
        faces.append([(x + px * scale, y + py * scale) for px, py in eyes[0]])
        x, row = x + small.width, max(row, small.height)
    return canvas, faces


def portraits(folder: Path, limit: int) -> list[Case]:
    with (folder / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = np.random.default_rng(0).permutation(len(rows))[:limit]
    return [(decode(folder / rows[i]["file"]),
             [[(float(rows[i][f"x{k}"]), float(rows[i][f"y{k}"])) for k in (0, 1)]]) for i in chosen]  # fmt: skip


def drawn(n: int) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for subject in range(n):
        face = draw(10_000 + subject, emotional_aus("happiness", rng), rng, 224, occluded=0.0).face
        points = np.asarray(face.landmarks)
        yield face.image, [[tuple(points[36:42].mean(0)), tuple(points[42:48].mean(0))]]


def main() -> None:
    config = load(Config, __doc__)
    folder, find = Path(config.faces), detector(config.detector, config.options)
    people = portraits(folder, config.limit)
    with (folder / "labels.csv").open(newline="") as file:
        empty = [row["file"] for row in csv.DictReader(file) if row["subset"] == config.empty]
    groups = [people[i : i + 6] for i in range(0, len(people), 6)]
    cases = {
        "upright": lambda: people,
        "tilted 15": lambda: [tilted(case, (-1) ** i * 15) for i, case in enumerate(people)],
        "tilted 30": lambda: [tilted(case, (-1) ** i * 30) for i, case in enumerate(people)],
        "six in a picture": lambda: [montage(group, (1280, 960), 150) for group in groups],
        "faces of 40 px": lambda: [montage(group, (640, 480), 40) for group in groups],
        "no face": lambda: [(decode(folder / name), []) for name in empty],
        "drawn": lambda: list(drawn(config.limit)),
    }
    results = {}
    for name, make in cases.items():
        if config.cases and name not in config.cases:
            continue
        tally = Tally()
        for picture, eyes in make():
            tally.add(find, picture, eyes)
        results[name] = tally.summary()
        print(name, results[name], flush=True)
    print(json.dumps({"detector": config.detector, "options": config.options, "cases": results}))


if __name__ == "__main__":
    main()
