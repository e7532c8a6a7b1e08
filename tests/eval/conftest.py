"""Drawn faces on disk, and scripted models that answer about them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.frame.job import EvalConfig
from facevlm.generate import Request, Scripted
from facevlm.prompts import gold
from facevlm.record import FaceRecord, RecordWriter, write_meta
from facevlm.tiny.population import EMOTIONS, draw, emotional_aus

FACES = 24


def _record(i: int, folder: Path) -> FaceRecord:
    rng = np.random.default_rng(i)
    emotion = EMOTIONS[i % len(EMOTIONS)]
    sample = draw(i // 2, emotional_aus(emotion, rng), rng, size=64, emotion=emotion)
    name = f"{i:03}.png"
    sample.face.image.save(folder / name)
    return FaceRecord(
        id=f"face-{i:03}", source="synthetic", media=name, split="test", subject=str(sample.subject), emotion=emotion,
        label_set="basic8", aus={n: float(v) for n, v in sample.aus.items()}, au_threshold=2, rationale="Because.",
        landmarks=tuple((float(x), float(y)) for x, y in sample.face.landmarks.tolist()),
    )  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[FaceRecord]]:
    """A folder of 24 drawn faces of 12 subjects, and its records. Read only."""
    folder = tmp_path_factory.mktemp("records")
    writer, records = RecordWriter(folder), [_record(i, folder) for i in range(FACES)]
    for record in records:
        writer.add(record)
    writer.flush()
    write_meta(folder, None)
    return folder, records


@pytest.fixture
def records(made: tuple[Path, list[FaceRecord]]) -> list[FaceRecord]:
    return made[1]


@pytest.fixture
def config(made: tuple[Path, list[FaceRecord]], tmp_path: Path) -> Callable[..., EvalConfig]:
    """A config over the drawn faces; keys may be overridden."""

    def make(**keys: object) -> EvalConfig:
        values = {"benchmark": "synthetic", "records": str(made[0]), "model": "scripted", "out": str(tmp_path / "run"),
                  "batch": 5, "bootstrap": 20, "gallery": 4, "mode": "fast"}  # fmt: skip
        return EvalConfig(**{**values, **keys})  # type: ignore[arg-type]

    return make


class Counting(Scripted):
    """Answers about the records in their order, and counts what it was asked."""

    def __init__(self, answers: list[str]) -> None:
        self.asked: list[str] = []
        left = iter(answers)

        def script(request: Request) -> str:
            self.asked.append(request.text)
            return next(left)

        super().__init__(script)


@pytest.fixture
def oracle(records: list[FaceRecord]) -> Callable[..., Counting]:
    """A model that knows the truth of every face from number `start` on."""
    return lambda start=0: Counting([gold(r, ("au", "answer")) for r in records[start:]])


@pytest.fixture
def parrot() -> Callable[..., Counting]:
    """A model that says one thing about every face."""
    return lambda text, n=FACES: Counting([text] * n)
