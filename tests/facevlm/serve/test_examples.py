"""The examples of docs/serving.md and docs/faces.md, word for word but for the address, on a model of a short SFT."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRAWN = "python -c \"from facevlm.tiny import faces;"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800),
              pytest.mark.skipif(not all(map(shutil.which, ("jq", "curl"))), reason="no jq or curl")]  # fmt: skip


def examples(page: str, language: str, word: str) -> list[str]:
    """The blocks in a language that hold a word."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if word in block]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, taught to explain by the first steps of the quickstart."""
    out = tmp_path_factory.mktemp("tuned")
    for command in (["data_builders.build", "--config", "configs/quickstart/data.yaml", f"out={out}/data"],
                    ["facevlm.sft", "--config", "configs/quickstart/sft.yaml", f"records={out}/data",
                     f"out={out}/sft"]):  # fmt: skip
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, timeout=1800)
    return out / "sft"


@pytest.fixture(scope="module")
def served(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A service with vLLM; `run(text)` runs commands, or `run(text, "python")` Python, beside the pictures."""
    pytest.importorskip("vllm")
    folder = tmp_path_factory.mktemp("examples")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "no_proxy": "*"}
    command = [sys.executable, "-m", "facevlm.serve", f"model={tuned}", "port=0", "max_model_len=1024"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            while "serves on" not in (line := service.stdout.readline()):
                assert line
            url = next(word for word in line.split() if word.startswith("http"))

            def run(text: str, by: str = "bash") -> str:
                for address in ("http://127.0.0.1:8000", "http://localhost:8000", "localhost:8000"):
                    text = text.replace(address, url)
                arguments = [by, "-c", text] if by == "python" else [by, "-euo", "pipefail", "-c", text]
                done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True,
                                      timeout=300, check=False)  # fmt: skip
                assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
                return done.stdout

            [drawn] = examples("serving.md", "bash", DRAWN)
            run(drawn)
            shutil.copy(folder / "face.png", folder / "party.jpg")
            with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
                archive.write(folder / "face.png", "face.png")
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                while client.get("/readyz").status_code != 200:
                    assert service.poll() is None
            yield SimpleNamespace(url=url, run=run, folder=folder)
        finally:
            service.terminate()
            service.wait(60)


def test_chat_by_the_official_client(served: SimpleNamespace) -> None:
    [example] = examples("serving.md", "python", "from openai")
    reasoning, content, read = served.run(example, "python").splitlines()
    assert "AU" in reasoning and content.startswith("<au>") and "'emotion': " in read


def test_chat_by_curl(served: SimpleNamespace) -> None:
    [example] = examples("serving.md", "bash", "/v1/chat/completions")
    assert set(json.loads(served.run(example))) == {"reasoning_content", "content"}


def test_faces_by_curl(served: SimpleNamespace) -> None:
    whole, stream, refused = examples("serving.md", "bash", "/v1/faces/analyze")
    face = json.loads(served.run(whole))
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.01) and face["aus"] and face["reasoning"]
    *pictures, last = map(json.loads, served.run(stream).splitlines())
    assert {one["index"] for one in pictures} == {0, 1} and last["usage"]["faces"] == 2
    assert json.loads(served.run(refused))["error"]["code"] == "setting_refused"


def test_the_page_of_the_face_api(served: SimpleNamespace) -> None:
    [short] = examples("faces.md", "bash", "/v1/faces/analyze")
    assert json.loads(served.run(short))["images"][0]["faces"]
    [example] = examples("faces.md", "python", "httpx")
    assert served.run(example, "python").startswith("[24.0, 24.0, 120.0, 120.0]")
    [batch] = examples("faces.md", "bash", "/v1/batches")
    assert '"id"' in served.run(batch)


def test_keys_by_the_command(served: SimpleNamespace) -> None:
    [example] = examples("serving.md", "bash", "facevlm.serve.keys")
    assert "fv-" in served.run(example.splitlines()[0])
    assert "fv-" not in (served.folder / "keys.txt").read_text()


def test_a_page_in_a_browser(served: SimpleNamespace) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    [example] = examples("serving.md", "js", "/v1/faces/analyze")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM)
        page: Any = browser.new_page()
        page.goto(served.url)
        page.evaluate("""() => { const input = document.createElement("input"); input.type = "file";
                                 input.id = "example"; document.body.append(input); }""")
        page.set_input_files("#example", served.folder / "face.png")
        [face] = page.evaluate("async () => { const input = document.querySelector('#example'), key = '';\n"
                               f"{example}\nreturn faces; }}")  # fmt: skip
        browser.close()
    assert face["emotion"] in face["probabilities"] and face["aus"] is not None
