"""The face API on an engine that says what it is told to."""

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from facevlm.answer import MODES, render
from facevlm.checkpoint import EMBEDDED
from facevlm.config import ConfigError
from facevlm.images import load_face
from facevlm.reading.calibration import FILE, Calibration, write
from facevlm.serve.engines.launch import ServedModel
from facevlm.serve.faces.analysis import drawn
from facevlm.serve.faces.asking import Asker
from facevlm.serve.faces.schema import Analysis, FaceAnswer, PictureAnswer
from facevlm.serve.settings import Config
from facevlm.tiny.population import draw, emotional_aus
from facevlm.vocab import AUS, LABEL_SETS

URL = "/v1/faces/analyze"
BASIC8 = LABEL_SETS["basic8"].labels


def smile(seed=1, size=112):
    rng = np.random.default_rng(seed)
    return draw(seed, emotional_aus("happiness", rng), rng, size, occluded=0.0).face.image


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def face():
    return data_url(png(smile()))


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))


@pytest.fixture
def told(engine, tokenizer):
    """`told(text, {token: probability})`: the engine answers so, with log-probabilities as vLLM writes them."""

    def tell(text, table=None):
        def logprobs(body):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            chance = {tokenizer.token_to_id(token): p for token, p in (table or {}).items()}

            def entry(i, wanted):
                tops = [{"token": f"token_id:{t}", "logprob": math.log(chance.get(t, 1e-9))} for t in wanted]
                return {"token": f"token_id:{i}", "logprob": -0.1, "bytes": [], "top_logprobs": tops}

            return {"content": [entry(i, body["logprob_token_ids"]) for i in ids]} if body.get("logprobs") else None

        engine.answer, engine.logprobs = (lambda body: text), logprobs

    return tell


EXPLAINED = render(MODES["explain"], "Cheeks are up (AU6). The lip corners too, AU12.", {6: None, 12: None}, "fear")


def ask(client, **body):
    reply = client.post(URL, json=body)
    assert reply.status_code == 200, reply.text
    Analysis.model_validate_json(reply.content)
    return reply.json()


def test_an_explained_face(service, told, engine, face):
    told(EXPLAINED, {"fear": 0.6, "anger": 0.2, "AU6": 0.5, "AU12": 0.3, ",": 0.9, "</au>": 0.1, "n": 0.2})
    out = ask(service(detector="whole"), images=[{"image": face, "id": "first"}], confidence=True)
    (picture,) = out["images"]
    (one,) = picture["faces"]
    assert (picture["id"], picture["width"], picture["height"], picture["error"]) == ("first", 112, 112, None)
    assert (one["emotion"], one["faults"], one["abstained"], one["calibrated"]) == ("fear", [], None, False)
    assert one["reasoning"] == "Cheeks are up (AU6). The lip corners too, AU12." and one["text"] == EXPLAINED
    assert one["probabilities"]["fear"] == pytest.approx(0.75, abs=1e-6)
    assert sum(one["probabilities"].values()) == pytest.approx(1) and list(one["probabilities"]) == list(BASIC8)
    first, second = one["aus"]
    assert (first["au"], first["name"], first["region"]) == (6, "cheek raiser", "cheeks")
    assert (first["said"], second["said"]) == ("Cheeks are up (AU6).", "The lip corners too, AU12.")
    assert first["confidence"] == pytest.approx(0.5, abs=1e-6) and 0 < second["confidence"] < 1
    assert len(first["boxes"]) == 2 and all(0 <= v <= 112 for box in first["boxes"] for v in box)
    assert one["regions_from"] == "average face" and one["valence"] is None
    assert out["usage"]["faces"] == 1 and out["usage"]["completion_tokens"] == 5
    assert (out["provenance"]["detector"], out["provenance"]["mode"], out["provenance"]["max_pixels"]) == (
        "whole", "explain", 512 * 512)  # fmt: skip
    assert out["provenance"]["prompt"] in engine.seen[0]["messages"][0]["content"][1]["text"]


@pytest.mark.parametrize(("holds", "longest"), [(4096, 1024), (1024, 512)])
def test_the_answer_leaves_room_for_the_question(holds, longest):
    asker = Asker.of(ServedModel("tiny", str(EMBEDDED), 512 * 512, BASIC8, max_model_len=holds), 1024)
    assert asker.question("explain").longest == longest and asker.question("label").longest == 64


@pytest.mark.parametrize(("mode", "text"), [
    ("label", "<answer>anger</answer>"), ("fast", "<au>AU4</au><answer>anger</answer>"),
])  # fmt: skip
def test_the_short_modes(service, told, engine, face, mode, text):
    told(text, {"anger": 0.5})
    (one,) = ask(service(), images=[{"image": face}], mode=mode, detect=False)["images"][0]["faces"]
    assert one["emotion"] == "anger" and one["reasoning"] is None
    assert (one["aus"] is None) == (mode == "label")
    sent = engine.seen[0]
    assert sent["structured_outputs"]["grammar"].startswith("root ::= ")
    # AUs are asked about where there is a list and no long thinking before it.
    assert len(sent["logprob_token_ids"]) == len(BASIC8) + (0 if mode == "label" else len(AUS) + 3)


def test_the_engine_is_shown_what_a_model_is_trained_on(service, told, engine):
    told(EXPLAINED)
    picture = Image.effect_mandelbrot((300, 200), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    box = [20, 30, 120, 150]
    ask(service(), images=[{"image": data_url(png(picture)), "faces": [box]}])
    url = engine.seen[0]["messages"][0]["content"][0]["image_url"]["url"]
    shown = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert shown.tobytes() == load_face(png(picture), tuple(box), 512 * 512).tobytes()


def test_one_bad_picture_or_face_harms_no_other(service, told, face):
    told(EXPLAINED)
    black = data_url(png(Image.new("RGB", (200, 200))))
    noise = data_url(png(Image.effect_noise((300, 200), 60).convert("RGB")))
    out = ask(service(detector="hog", max_faces=2), images=[
        {"image": face, "faces": [[10, 10, 100, 100]]},
        {"image": "data:image/png;base64,iVBORw0KGgo="},
        {"image": black, "faces": [[20, 20, 100, 100], [0, 0, 10, 10], [5, 5, 6, 6]]},
        {"image": noise},
        {"image": face, "faces": [[500, 500, 600, 600]]},
        {"image": "https://example.org/face.jpg"},
    ])["images"]  # fmt: skip
    assert out[0]["faces"][0]["emotion"] == "fear"
    assert out[1]["error"]["reason"] in ("damaged_image", "not_an_image") and out[1]["faces"] == []
    assert [one["abstained"]["reason"] for one in out[2]["faces"]] == ["low quality", "too small"]
    assert out[2]["abstained"]["reason"] == "too many faces"
    assert out[3]["abstained"]["reason"] == "no face" and out[3]["faces"] == []
    assert out[4]["faces"][0]["abstained"]["reason"] == "bad face box"
    assert out[5]["error"]["reason"] == "host_not_allowed"


def test_abstains_where_it_is_unsure_or_the_answer_is_none(service, told, face):
    client = service(unsure_below=0.5)
    told("<answer>fear</answer>", {"fear": 0.2, "anger": 0.19, "sadness": 0.19})
    (one,) = ask(client, images=[{"image": face}], mode="label", detect=False)["images"][0]["faces"]
    assert (one["abstained"]["reason"], one["emotion"]) == ("unsure", None)
    assert max(one["probabilities"], key=one["probabilities"].get) == "fear"
    told("I think it is fear")
    (one,) = ask(client, images=[{"image": face}], mode="label", detect=False)["images"][0]["faces"]
    assert (one["abstained"]["reason"], one["emotion"]) == ("unreadable answer", None)
    assert one["text"] == "I think it is fear" and "<answer> is missing" in one["faults"]


def test_chances_of_another_answer_are_not_told(service, told, face):
    told("<answer>fear</answer>", {"fear": 0.2, "anger": 0.7})
    (one,) = ask(service(), images=[{"image": face}], mode="label", detect=False)["images"][0]["faces"]
    assert (one["emotion"], one["probabilities"], one["calibrated"]) == ("fear", None, False)


def test_calibrated_where_a_temperature_lies_beside_the_model(engine, service, told, face, tmp_path, tokenizer):
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text("{}")
    write(tmp_path / FILE, Calibration(2.0, "label", BASIC8, 100))
    engine.models = (str(tmp_path),)
    client = service()
    told("<answer>fear</answer>", {"fear": 0.9, "anger": 0.1})
    out = ask(client, images=[{"image": face}], mode="label", detect=False)
    (one,) = out["images"][0]["faces"]
    assert one["calibrated"] and out["provenance"]["calibration"] == 2.0
    assert one["probabilities"]["fear"] == pytest.approx(0.75, abs=1e-3)
    told("<au>none</au><answer>fear</answer>", {"fear": 0.9, "anger": 0.1})
    out = ask(client, images=[{"image": face}], mode="fast", detect=False)
    (one,) = out["images"][0]["faces"]
    assert not one["calibrated"] and out["provenance"]["calibration"] is None
    assert one["probabilities"]["fear"] == pytest.approx(0.9, abs=1e-3)


def test_valence_and_arousal_where_the_model_was_taught_them(engine, service, face, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "facevlm.json").write_text(json.dumps({"tasks": ["explain", "valence_arousal"], "max_pixels": 4096}))
    engine.models = (str(tmp_path),)
    affect = "<answer>valence -0.4, arousal 0.25</answer>"
    engine.answer = lambda body: affect if "valence" in body["messages"][0]["content"][1]["text"] else EXPLAINED
    client = service()
    out = ask(client, images=[{"image": face}], detect=False)
    (one,) = out["images"][0]["faces"]
    assert (one["valence"], one["arousal"], one["emotion"]) == (-0.4, 0.25, "fear")
    assert out["provenance"]["max_pixels"] == 4096
    # Without its tokenizer here nobody knows which tokens to ask for.
    assert one["probabilities"] is None
    engine.answer = lambda body: "<answer>fear</answer>"
    ask(client, images=[{"image": face}], mode="label", detect=False)
    assert len(engine.seen) == 3


def test_a_stream_has_a_line_a_picture_and_one_for_the_rest(service, told, face):
    told(EXPLAINED)
    images = [{"image": face, "id": "a"}, {"image": "data:,x"}, {"image": face, "id": "c"}]
    reply = service().post(URL, json={"images": images, "stream": True, "detect": False})
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    *lines, last = [json.loads(line) for line in reply.text.splitlines()]
    found = sorted((PictureAnswer.model_validate(line) for line in lines), key=lambda one: one.index)
    assert [one.id for one in found] == ["a", None, "c"] and found[1].error.reason == "bad_data_url"
    assert last["object"] == "face.analysis" and last["usage"]["faces"] == 2 and "images" not in last


def test_a_form_says_the_same_as_json(service, told, engine):
    told("<answer>fear</answer>", {"fear": 0.9})
    files = [("images", ("one.png", png(smile(1)), "image/png")), ("images", ("two.png", png(smile(2)), "image/png"))]
    data = {"mode": "label", "detect": "false", "faces": "[null, [[10, 10, 90, 90]]]"}
    reply = service().post(URL, files=files, data=data)
    assert reply.status_code == 200, reply.text
    first, second = reply.json()["images"]
    assert (first["id"], second["id"]) == ("one.png", "two.png")
    assert second["faces"][0]["box"] == [10, 10, 90, 90] and first["faces"][0]["emotion"] == "fear"


def test_what_is_wrong_is_refused_by_name(service, engine):
    client = service(max_pictures=4)
    empty = {"images": [{"image": "data:,"}]}
    for body, param in [
        ({}, "images"), ({"images": []}, "images"), ({"images": "x"}, "images"), ({"images": [{}]}, "images.0.image"),
        ({"images": [{"image": ""}]}, "images.0.image"), ({"images": [{"image": 3}]}, "images.0.image"),
        ({"images": [{"image": "data:,", "faces": [[1, 2, 3]]}]}, "images.0.faces.0"),
        ({"images": [{"image": "data:,", "faces": [[1, 2, 3, "4"]]}]}, "images.0.faces.0.3"),
        (empty, "images.0.image"), (empty | {"mode": "loud"}, "mode"), (empty | {"x": 1}, "x"),
        (empty | {"detect": "yes"}, "detect"), (empty | {"model": "x"}, "model"),
        ({"images": [{"image": "data:,"}] * 5}, "images"),
    ]:  # fmt: skip
        reply = client.post(URL, json=body)
        error = reply.json()["error"]
        assert reply.status_code in (400, 404) and error["param"] == param, (body, error)
        assert error["type"] == "invalid_request_error"
    assert not engine.seen


def test_odd_bodies(service):
    client = service()
    for content in (b"", b"{", b"[1]", b"\xff\xfe", b'{"images":' + b"[" * 5000,
                    b'{"images": [{"image": "data:,", "faces": [[NaN,1,2,3]]}]}'):  # fmt: skip
        reply = client.post(URL, content=content, headers={"content-type": "application/json"})
        assert reply.status_code == 400, (content, reply.text)


def test_odd_forms(service):
    client, one = service(), {"images": b"x"}
    for files, data in [
        ({"images": b""}, {}), (one, {}), ({"pictures": b"x"}, {}), ({}, {"images": "x"}), (one, {"detect": "maybe"}),
        (one, {"mode": "loud"}), (one, {"faces": "[[[1,2,3,NaN]]]"}), (one, {"faces": "[]"}),
        (one, {"faces": "[" * 3000}), (one, {"size": "1"}),
    ]:  # fmt: skip
        reply = client.post(URL, files={name: ("f", content) for name, content in files.items()} or None, data=data)
        assert reply.status_code in (400, 415), (files, data, reply.text)


def test_faces_far_outside_or_reversed_are_told_so(service, told, face):
    told(EXPLAINED)
    boxes = [[1e300, 0, 1e308, 1], [90, 90, 10, 10], [-1e9, -1e9, 1e9, 1e9], [-40, -40, 60, 60]]
    out = ask(service(), images=[{"image": face, "faces": boxes}])
    reasons = [one["abstained"] and one["abstained"]["reason"] for one in out["images"][0]["faces"]]
    assert reasons == ["too small", "too small", "bad face box", None]


def test_without_an_engine_the_whole_is_refused_to_be_asked_again(service, engine, face):
    client = service(wait_seconds=0.2)
    engine.fault = "503"
    reply = client.post(URL, json={"images": [{"image": face}], "detect": False})
    assert reply.status_code == 503 and int(reply.headers["retry-after"]) >= 1
    engine.fault = None
    assert client.post(URL, json={"images": [{"image": face}], "detect": False}).status_code == 200


def test_who_finds_faces_by_default(tmp_path):
    grpo, sft = tmp_path / "grpo", tmp_path / "sft"
    for folder, base in ((sft, "tiny"), (grpo, str(sft))):
        folder.mkdir()
        (folder / "facevlm.json").write_text(json.dumps({"base": base}))
    assert drawn(Config()) and drawn(Config(model="tiny")) and drawn(Config(model=str(grpo), models={"s": str(sft)}))
    assert not drawn(Config(model="Qwen/Qwen3-VL-4B-Instruct"))
    assert not drawn(Config(model=str(grpo), models={"real": "runs/real"}))
    assert not drawn(Config(engine_url=["http://gpu:8000"]))


@pytest.mark.parametrize(("key", "value"), [
    ("min_face", -1.0), ("unsure_below", 1.5), ("max_faces", 0), ("batch_mb", 0.0), ("blurred_below", -3.0),
])  # fmt: skip
def test_keys_that_cannot_work_are_refused(key, value):
    with pytest.raises(ConfigError, match=f"{key}: must be"):
        Config(**{key: value})


def test_the_document_describes_the_bodies(service):
    document = service().get("/openapi.json").json()
    operation = document["paths"][URL]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    schemas = document["components"]["schemas"]
    assert set(FaceAnswer.model_fields) == set(schemas["FaceAnswer"]["properties"])
    assert {"AnalyzeRequest", "Picture", "Analysis", "Usage"} <= set(schemas)
