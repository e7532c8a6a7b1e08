"""The face API on a real vLLM with the embedded model."""

import base64
import io

import numpy as np
import pytest

from facevlm.answer import MODES
from facevlm.generate import Request
from facevlm.prompts import question
from facevlm.serve.faces.schema import Analysis
from facevlm.tiny.population import draw, emotional_aus
from facevlm.vocab import LABEL_SETS

# vLLM looks through all modules that are loaded for kernels, and so meets torch's deprecated names.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore::FutureWarning")]

LABELS = LABEL_SETS["basic8"].labels


def pictures():
    rng = np.random.default_rng(7)
    return [draw(9_000 + i, emotional_aus(emotion, rng), rng, 112, occluded=0.0).face.image
            for i, emotion in enumerate(("happiness", "anger", "surprise"))]  # fmt: skip


def data_url(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_says_what_the_model_says_and_how_sure_it_is(tools):
    vllm = pytest.importorskip("facevlm.generate").VLLM
    pytest.importorskip("vllm")
    shown = pictures()
    parts = MODES["label"]
    local = vllm("tiny").label_probs([Request((one,), question(parts, LABELS)) for one in shown], LABELS)
    images = [{"image": data_url(one)} for one in shown]
    with tools.running(model="tiny", max_answer_tokens=96) as service:
        import httpx

        with httpx.Client(base_url=service.url, timeout=900, trust_env=False) as client:
            tools.until(lambda: client.get("/readyz").status_code == 200, 900)
            said = {mode: Analysis.model_validate_json(client.post("/v1/faces/analyze", json={
                "images": images, "mode": mode, "confidence": True}).content) for mode in MODES}  # fmt: skip
    assert all(one.provenance.detector == "whole" for one in said.values())
    faces = {mode: [picture.faces[0] for picture in analysis.images] for mode, analysis in said.items()}
    for face, chances in zip(faces["label"], local, strict=True):
        assert face.faults == [] and face.emotion in LABELS
        assert face.probabilities == pytest.approx(chances, abs=0.02)  # two batches round bfloat16 differently
    for face in faces["fast"]:
        assert face.faults == [] and face.emotion in LABELS
        assert max(face.probabilities, key=face.probabilities.get) == face.emotion
        assert all(au.confidence is not None for au in face.aus)
    # The embedded model was never taught to explain: it says something of the form, or that it did not.
    assert all((face.faults == []) == (face.abstained is None) for face in faces["explain"])
