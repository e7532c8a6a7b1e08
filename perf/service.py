"""Servers to measure: the gateway, a fast fake engine, vLLM's own server; each a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from facevlm.serve.engines.launch import arguments, environment, on_cpu, plan
from facevlm.serve.keys import Config as KeyConfig
from facevlm.serve.keys import make
from facevlm.serve.settings import Config


@dataclass(frozen=True, slots=True)
class Service:
    """A server that answers."""

    url: str
    pid: int
    said: Path
    """What it writes."""
    key: str = ""

    @property
    def errors(self) -> list[str]:
        """The lines in which it logged an error, or Python a traceback."""
        lines = self.said.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or line.startswith("Traceback")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(arguments: list[str], url: str, ready: str, seconds: float, key: str = "",
            environment: Mapping[str, str] = os.environ) -> Iterator[Service]:  # fmt: skip
    """A Python module as a process, from when its `ready` route answers 200 until it is told to end.

    Raises:
        SystemExit: it ended or was not ready in time; says what it wrote last.
    """
    with tempfile.NamedTemporaryFile("w") as file:
        said = Path(file.name)
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=file, stderr=file, env=environment)
        try:
            if not _answers(process, url + ready, time.monotonic() + seconds):
                raise SystemExit(f"{' '.join(arguments[:3])} did not start:\n{said.read_text()[-3000:]}")
            yield Service(url, process.pid, said, key)
            if process.poll() is not None:
                raise SystemExit(f"{arguments[0]} ended with {process.returncode}:\n{said.read_text()[-3000:]}")
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(process: "subprocess.Popen[bytes]", url: str, until: float) -> bool:
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):  # refused, reset, or 503: HTTPError is one too
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
            return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def gateway(*keys: str, seconds: float = 300) -> Iterator[Service]:
    """The gateway with a key of its own and limits that a single client under load does not meet.

    Args:
        keys: of `python -m facevlm.serve`, as key=value.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keys.txt"
        key = make(KeyConfig("load", str(file)))
        wide = ["auth=true", f"keys={file}", "rate_per_minute=1e9", "burst=1000000", "concurrent_per_key=100000"]
        arguments = ["facevlm.serve", f"port={port}", *wide, *keys]
        with running(arguments, f"http://127.0.0.1:{port}", "/readyz", seconds, key) as service:
            yield service


@contextlib.contextmanager
def fake_engine() -> Iterator[Service]:
    port = free_port()
    with running(["perf.fake_engine", "--port", str(port)], f"http://127.0.0.1:{port}", "/health", 60) as service:
        yield service


@contextlib.contextmanager
def vllm_server(config: Config) -> Iterator[Service]:
    """vLLM's own server for the model of a config, with the arguments that the gateway gives an engine, on TCP."""
    (launch,) = plan(config)
    port = free_port()
    given = arguments(launch, Path("unused"), config, 1, on_cpu())
    at = given.index("--uds")
    given[at : at + 2] = ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    child = ["facevlm.serve.engines.child", str(os.getpid()), *given]
    with running(child, url, "/health", config.start_seconds, environment=environment(on_cpu())) as service:
        yield service


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of those that it started, children's children too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return own + sum(cpu_seconds(int(child)) for task in tasks for child in (task / "children").read_text().split())
