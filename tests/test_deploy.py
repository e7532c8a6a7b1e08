"""The files in configs/serve/deploy name things that are there: paths, modules, keys, routes."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from facevlm import config as configs
from facevlm.serve.door.guard import OPEN
from facevlm.serve.settings import Config

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "configs/serve/deploy"


def kubernetes() -> dict[str, dict[str, Any]]:
    """kind/name -> the object."""
    found = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def container(kind: str) -> dict[str, Any]:
    (only,) = kubernetes()[kind]["spec"]["template"]["spec"]["containers"]
    return only


def service() -> dict[str, list[str]]:
    """The keys of the systemd unit; each may stand several times."""
    lines = re.findall(r"^(\w+)=(.*)$", (DEPLOY / "facevlm.service").read_text(), re.MULTILINE)
    return {name: [value for key, value in lines if key == name] for name, _ in lines}


def dockerfile() -> dict[str, list[str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = re.findall(r"^([A-Z]+) (.*)$", text, re.MULTILINE)
    return {name: [value for key, value in lines if key == name] for name, _ in lines}


def commands() -> Iterator[Any]:
    """What each file gives to facevlm.serve beside the image's own --config."""
    (unit,) = service()["ExecStart"]
    python, *command = shlex.split(unit)
    assert python.startswith("/opt/facevlm/") and command[:2] == ["-m", "facevlm.serve"]
    yield pytest.param([one.replace("/etc/facevlm/", "configs/serve/") if one.endswith(".yaml") else one
                        for one in command[2:]], id="systemd")  # fmt: skip
    own = ["--config", "configs/serve/service.yaml"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, one in compose["services"].items():
        yield pytest.param([*own, *one["command"]], id=f"compose {name}")
    yield pytest.param([*own, *container("Deployment/facevlm")["args"]], id="kubernetes")


@pytest.mark.parametrize("command", list(commands()))
def test_the_gateway_takes_what_it_is_given(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    given = [re.sub(r"\$\{FACEVLM_PURPOSE[^}]*\}", "lab videos; a@example.org", one) for one in command]
    config = configs.load(Config, "", given)
    assert config.asks_for_keys and config.keys and not config.loopback
    assert config.purpose and (config.model or config.engine_url)


def test_the_image_is_made_of_what_is_there() -> None:
    lines = dockerfile()
    copied = [words for line in lines["COPY"] if not (words := line.split())[0].startswith("--")]
    assert all((ROOT / source).exists() for words in copied for source in words[:-1])
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert {line[1:] for line in ignored if line.startswith("!")} == {s for words in copied for s in words[:-1]}
    (entry,) = lines["ENTRYPOINT"]
    python, m, module, flag, file = json.loads(entry)
    assert (python, m, flag) == ("python", "-m", "--config") and importlib.util.find_spec(module)
    assert ["configs/serve", "/etc/facevlm/configs"] in copied
    assert (ROOT / "configs/serve" / Path(file).relative_to("/etc/facevlm/configs")).is_file()
    assert lines["USER"] == ["10001"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"serve", "vllm", "vllm-cpu"} <= extras.keys()


def test_probes_ask_what_is_open() -> None:
    gateway = container("Deployment/facevlm")
    paths = {gateway[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")}
    assert paths == {"/readyz", "/healthz"} and paths <= OPEN
    assert "http://127.0.0.1:8000/readyz" in dockerfile()["HEALTHCHECK"][0]


def test_compose_builds_what_it_runs() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, engine in (("gpu", "vllm"), ("cpu", "vllm-cpu")):
        one = compose["services"][name]
        context = (DEPLOY / one["build"]["context"]).resolve()
        assert context == ROOT and (context / one["build"]["dockerfile"]).is_file()
        assert one["build"]["args"] == {"ENGINE": engine} and one["profiles"] == [name]
        assert float(one["stop_grace_period"].removesuffix("s")) > Config().drain_seconds
        assert all(port.startswith("127.0.0.1:") for port in one["ports"])


def test_the_gateway_alone_reaches_the_engines() -> None:
    found = kubernetes()
    policy, engines = found["NetworkPolicy/facevlm-engine"]["spec"], found["StatefulSet/facevlm-engine"]["spec"]
    label = engines["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == label == found["Service/facevlm-engine"]["spec"]["selector"]
    door = found["Deployment/facevlm"]["spec"]["template"]["metadata"]["labels"]
    assert [one["podSelector"]["matchLabels"] for one in policy["ingress"][0]["from"]] == [door]
    given = next(arg for arg in container("Deployment/facevlm")["args"] if arg.startswith("engine_url="))
    urls = yaml.safe_load(given.partition("=")[2])
    assert len(urls) == engines["replicas"]
    assert urls == [f"http://facevlm-engine-{i}.facevlm-engine:8001" for i in range(engines["replicas"])]


def test_longer_than_what_is_under_way_takes() -> None:
    assert float(service()["TimeoutStopSec"][0]) > Config().drain_seconds
    for kind in ("Deployment/facevlm", "StatefulSet/facevlm-engine"):
        seconds = kubernetes()[kind]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert seconds > Config().drain_seconds


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "facevlm.service").read_text().replace("/opt/facevlm/bin/python", sys.executable)
    unit = tmp_path / "facevlm.service"
    unit.write_text(text.replace("User=facevlm", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "facevlm.service" not in done.stderr, done.stderr
