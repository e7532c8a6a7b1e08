"""Batches in the background, on an engine that says what it is told to."""

import io
import json
import zipfile

import pytest

from facevlm.serve import keys
from facevlm.serve.faces.schema import PictureAnswer

URL = "/v1/batches"
NDJSON = {"content-type": "application/x-ndjson"}
ZIP = {"content-type": "application/zip"}


def lines(*pictures):
    return "\n".join(json.dumps(picture) for picture in pictures).encode()


def archive(files, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **({"compression": zipfile.ZIP_DEFLATED} | options)) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return buffer.getvalue()


def finished(client, tools, id):
    tools.until(lambda: client.get(f"{URL}/{id}").json()["status"] == "done")
    status = client.get(f"{URL}/{id}").json()
    *found, last = [json.loads(line) for line in client.get(f"{URL}/{id}/results").text.splitlines()]
    return status, [PictureAnswer.model_validate(one) for one in found], last


@pytest.fixture
def face(tools):
    return tools.data_url(tools.face())


def test_json_lines_are_answered_in_their_order(service, tools, face):
    client = service()
    body = lines({"image": face, "id": "a"}, {"image": "data:,"}, {"image": face, "id": "c"})
    reply = client.post(URL, content=body, headers=NDJSON, params={"detect": "false", "mode": "explain"})
    assert reply.status_code == 202 and reply.json()["total"] == 3
    status, found, last = finished(client, tools, reply.json()["id"])
    assert (status["done"], status["failed"], status["usage"]["faces"]) == (3, 1, 2)
    assert [one.id for one in found] == ["a", None, "c"] and found[1].error.reason == "bad_data_url"
    assert found[2].faces[0].emotion == "happiness" and last["provenance"]["detector"] == "whole"


def test_a_zip_of_pictures(service, tools):
    client = service()
    body = archive({"one.jpg": tools.face(), "sub/": b"", "sub/two.txt": b"no picture"})
    id = client.post(URL, content=body, headers=ZIP, params={"detect": "0"}).json()["id"]
    _, found, _ = finished(client, tools, id)
    assert [one.id for one in found] == ["one.jpg", "sub/two.txt"]
    assert found[0].faces[0].emotion == "happiness" and found[1].error is not None


def test_work_outlives_the_engine(service, engine, tools, face):
    """It dies with questions on it; what it dropped is asked again when it is back."""
    client = service()
    engine.seconds = 30
    reply = client.post(URL, content=lines(*[{"image": face}] * 5), headers=NDJSON, params={"detect": "false"})
    tools.until(lambda: engine.under_way == 5)
    engine.stop()
    engine.seconds = 0
    tools.until(lambda: client.get("/readyz").status_code == 503)
    engine.start()
    status, found, _ = finished(client, tools, reply.json()["id"])
    assert (status["failed"], len(found)) == (0, 5)
    assert all(one.faces[0].emotion == "happiness" and one.faces[0].error is None for one in found)


def test_a_batch_is_the_keys_own(service, engine, tools, face, tmp_path):
    file = str(tmp_path / "keys.txt")
    mine, other = ({"authorization": f"Bearer {keys.make(keys.Config(name, file))}"} for name in ("lab", "clinic"))
    client = service(auth=True, keys=file)
    reply = client.post(URL, content=lines({"image": face}), headers=NDJSON | mine)
    path = f"{URL}/{reply.json()['id']}"
    assert client.get(path, headers=mine).status_code == 200
    assert client.get(path, headers=other).status_code == client.delete(path, headers=other).status_code == 404
    assert client.get(f"{path}/results", headers=other).status_code == 404
    assert client.get(path).status_code == 401 and client.get(path, headers=mine).status_code == 200


def test_a_batch_can_be_forgotten(service, engine, tools, face):
    engine.seconds = 30
    client = service()
    id = client.post(URL, content=lines(*[{"image": face}] * 40), headers=NDJSON, params={"detect": "0"}).json()["id"]
    tools.until(lambda: engine.under_way >= 16)
    assert client.get(f"{URL}/{id}").json()["status"] == "running"
    assert client.get(f"{URL}/{id}/results").text == ""
    assert client.delete(f"{URL}/{id}").json()["deleted"]
    asked = len(engine.seen)
    for path in (f"{URL}/{id}", f"{URL}/{id}/results", f"{URL}/batch_0"):
        assert client.get(path).status_code == 404
    assert client.delete(f"{URL}/{id}").status_code == 404
    assert asked < 40


def test_limits(service, engine, face):
    engine.seconds = 30
    client = service(batch_jobs=1, batch_pictures=3, batch_mb=0.01)
    big = client.post(URL, content=lines(*[{"image": face + "A" * 12_000}]), headers=NDJSON)
    assert big.status_code == 503 and big.json()["error"]["code"] == "overloaded"
    many = client.post(URL, content=lines(*[{"image": "data:,"}] * 4), headers=NDJSON)
    assert many.status_code == 400 and many.json()["error"]["code"] == "too_many_images"
    assert client.post(URL, content=lines({"image": face}), headers=NDJSON).status_code == 202
    again = client.post(URL, content=lines({"image": face}), headers=NDJSON)
    assert again.status_code == 429 and "retry-after" in again.headers


def test_old_batches_are_forgotten(service, tools, face):
    client = service(batch_seconds=0.3)
    id = client.post(URL, content=lines({"image": face}), headers=NDJSON, params={"detect": "0"}).json()["id"]
    tools.until(lambda: client.get(f"{URL}/{id}").status_code == 404)


def bomb():
    return archive({f"{i}.png": bytes(3_000_000) for i in range(4)})


def encrypted():
    body = bytearray(archive({"a.png": b"x" * 50}))
    body[6] |= 1  # the flag in the local header, and in the directory
    body[body.index(b"PK\x01\x02") + 8] |= 1
    return bytes(body)


def test_what_is_wrong_is_refused(service, face):
    client = service(batch_mb=5)
    for content, headers, status in [
        (b"", NDJSON, 400), (b"\n\n", NDJSON, 400), (b"{", NDJSON, 400), (b"[]", NDJSON, 400),
        (b'{"id": "x"}', NDJSON, 400), (b'{"image": ""}', NDJSON, 400), (b"", ZIP, 400),
        (b"PK\x03\x04 no archive", ZIP, 400), (archive({}), ZIP, 400), (encrypted(), ZIP, 400),
        (archive({"a.png": b"x" * 5000})[:-40], ZIP, 400), (bomb(), ZIP, 413),
        (b"x", {"content-type": "text/plain"}, 415), (b"x", {}, 415),
    ]:  # fmt: skip
        reply = client.post(URL, content=content, headers=headers)
        assert reply.status_code == status, (content[:20], reply.text)
        assert set(reply.json()["error"]) == {"message", "type", "code", "param"}
    for params in ({"mode": "loud"}, {"detect": "maybe"}, {"speed": "1"}, {"stream": "true"}):
        reply = client.post(URL, content=lines({"image": face}), headers=NDJSON, params=params)
        assert reply.status_code == 400, (params, reply.text)
