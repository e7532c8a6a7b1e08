"""Ray Data LLM on a local Ray with the embedded model: the same rows as without."""

import os
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facevlm.analyze import ROW, Config, run
from facevlm.analyze.inputs import find
from facevlm.analyze.on_ray import _faces, _Part
from facevlm.analyze.settings import Job
from facevlm.analyze.steps import Step, Steps
from facevlm.analyze.store import Store
from facevlm.generate import Scripted

HERE = Path(__file__).parents[3]


@pytest.fixture
def small_ray(monkeypatch: pytest.MonkeyPatch) -> Any:
    ray = pytest.importorskip("ray")
    pytest.importorskip("vllm")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    yield ray
    ray.shutdown()


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Ten drawn faces, and two files that are no pictures, alone in a part of their own."""
    import numpy as np

    from facevlm.tiny.population import draw, independent_aus

    folder, rng = tmp_path / "faces", np.random.default_rng(3)
    folder.mkdir()
    for i in range(10):
        draw(i, independent_aus(rng), rng, 112).face.image.save(folder / f"{i}.png")
    (folder / "x.png").write_text("no picture")
    (folder / "y.png").write_text("no picture")
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(1200)
def test_ray_gives_the_same_rows(faces: Path, tmp_path: Path, small_ray: Any,
                                 ask: Callable[..., list[dict[str, Any]]]) -> None:  # fmt: skip
    for mode in ("label", "explain"):
        keys: dict[str, Any] = {"inputs": [str(faces)], "model": "tiny", "mode": mode, "part": 5, "max_new_tokens": 48}
        ray_config = Config(out=str(tmp_path / f"ray-{mode}.parquet"), ray=True, **keys)
        on_ray = ask(ray_config)
        alone = ask(Config(out=str(tmp_path / f"alone-{mode}.parquet"), engine="vllm", **keys))
        for one, other in zip(on_ray, alone, strict=True):
            shown = ("path", "face", "text", "emotion", "aus", "error", "provenance")
            assert {k: one[k] for k in shown} == {k: other[k] for k in shown}
            chances = [[pair["p"] for pair in row["probabilities"] or ()] for row in (one, other)]
            assert chances[0] == pytest.approx(chances[1], abs=1e-3)
        assert [row["error"] is None for row in on_ray] == [True] * 10 + [False] * 2


def test_parts_come_together_from_replies_in_any_order(faces: Path, tmp_path: Path,
                                                       ask: Callable[..., list[dict[str, Any]]]) -> None:  # fmt: skip
    config = Config([str(faces)], "tiny", str(tmp_path / "out.parquet"), part=5, workers=2)
    job, paths = Job(config, "scripted", None), find(config.inputs)
    asked = Steps(job, [Step([1], (), {})], ())
    sent = list(_faces(job, Store(config.parts_folder, ROW, 5), paths, 1, os.getcwd(), {"parts": [0, 2, 1]}))
    assert len(sent) == 10 and sum(bool(face["rows"]) for face in sent) == 2
    random.Random(1).shuffle(sent)
    parts: defaultdict[int, _Part] = defaultdict(_Part)
    done = {}
    for face in sent:
        text = f"<think>{face['width']}</think><au>AU4</au><answer>fear</answer>"
        parts[face["part"]].add({**face, "text": text, "logprobs": []}, asked)
        if whole := parts[face["part"]].done(asked):
            done[whole[0].part] = whole
    assert sorted(done) == [0, 1]  # the third part shows no face
    same = Scripted(lambda request: f"<think>{request.images[0].width}</think><au>AU4</au><answer>fear</answer>")
    alone = ask(config, same)
    assert [row | {"provenance": None} for row in alone[:10]] == done[0][1] + done[1][1]


def test_ray_runs_vllm_alone() -> None:
    with pytest.raises(ValueError, match="ray runs vLLM engines"):
        Config(["x"], "tiny", "faces", ray=True, engine="transformers")


def test_ray_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, faces: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install facevlm\[ray\]"):
        run(Config([str(faces)], "tiny", str(tmp_path / "out"), ray=True))
