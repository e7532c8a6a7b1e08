"""Watching over engines: ours are started, and again when they die; those of others are looked at."""

import asyncio
import collections
import contextlib
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic_core
from PIL import Image

from facevlm.checkpoint import ModelError
from facevlm.serve.counters import Counters
from facevlm.serve.engines.launch import Launch, ServedModel, served
from facevlm.serve.engines.replica import EngineGone, Replica
from facevlm.serve.engines.upstream import Upstream
from facevlm.serve.faults import ApiError
from facevlm.serve.pictures import encode
from facevlm.serve.settings import Config

log = logging.getLogger("facevlm.serve")

_LOOK_SECONDS = 2.0
_MISSES = 3  # health checks in a row before an engine that still runs counts as hung
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0  # an engine that lived so long begins anew with short pauses
_DUMP = b"[dump_input.py:"  # an engine that dies shows its last requests, pixels and all: not in anybody's log
_TAIL = 40  # lines of an engine's output that are shown if it cannot start


def pause(failures: int) -> float:
    """Seconds before the next start after so many failures in a row."""
    return min(0.5 * 2**failures, _LONGEST_PAUSE)


async def _look(replica: Replica, seconds: float = _LOOK_SECONDS) -> None:
    """Wait until it is time to look at a replica: soon, or at once if a request broke on it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await replica.suspect.wait()
    replica.suspect.clear()


class Engine:
    """A vLLM server of our own: a child that listens on a private Unix socket."""

    def __init__(self, launch: Launch, name: str, command: Callable[[Path], list[str]], config: Config,
                 environment: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """
        Args:
            command: the program and its arguments, given the socket to listen on.
            environment: of the child, see `launch.environment`; None = the gateway's own.
        """
        # A path of a socket has at most 107 bytes: the system's own temporary folder, not one deep inside a project.
        self._folder = Path(tempfile.gettempdir()) / f"facevlm-{secrets.token_hex(8)}"
        self._socket = self._folder / "engine"
        self.replica = Replica(name, "http://engine", launch.models, str(self._socket))
        self._command, self._seconds = command(self._socket), config.start_seconds
        self._environment = dict(os.environ if environment is None else environment)
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        self.process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def watch(self, upstream: Upstream, counters: Counters) -> None:
        """Start the engine, and again whenever it ends; runs until it is cancelled.

        Raises:
            ModelError: it could not be started the first time; the text ends with what it said.
        """
        failures, worked = 0, False
        self._folder.mkdir(mode=0o700)  # nobody else's: not there before, and for this user alone
        try:
            while True:
                began = time.monotonic()
                counters.engine_starts.labels(self.replica.name).inc()
                try:
                    await self._start()
                except EngineGone as e:
                    if not worked:
                        raise ModelError(f"engine {self.replica.name} did not start: {e}") from None
                    log.error("engine %s did not start again: %s", self.replica.name, e)
                else:
                    worked = True
                    await self._warm()
                    self.replica.restart_seconds = time.monotonic() - began + 1
                    log.info("engine %s is ready", self.replica.name)
                    upstream.mark(self.replica, up=True)
                    await self._until_dead(upstream)
                    upstream.mark(self.replica, up=False)
                await self._end(signal.SIGKILL)
                failures = 0 if time.monotonic() - began > _STEADY_SECONDS else failures + 1
                log.error("engine %s has ended; it is started again in %.1f s", self.replica.name, pause(failures))
                await asyncio.sleep(pause(failures))
        finally:
            upstream.mark(self.replica, up=False)
            await self._end(signal.SIGTERM)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _start(self) -> None:
        """Raises:
        EngineGone: it ended, or was not ready in time; says what it wrote last.
        """
        self._socket.unlink(missing_ok=True)
        self._tail.clear()
        # A group of its own: Ctrl-C reaches the gateway alone, and no worker of the engine outlives it.
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True, env=self._environment)  # fmt: skip
        self._reader = asyncio.create_task(self._read(self.process))
        exited = asyncio.create_task(self.process.wait())
        try:
            async with asyncio.timeout(self._seconds):
                while not (self._socket.exists() and await self.replica.alive()):
                    await asyncio.wait({exited}, timeout=0.25)
                    if exited.done():
                        await asyncio.wait({self._reader}, timeout=1)
                        raise EngineGone(f"it ended with {exited.result()}\n  " + "\n  ".join(self._tail))
        except TimeoutError:
            raise EngineGone(f"it was not ready within {self._seconds:g} s\n  " + "\n  ".join(self._tail)) from None
        finally:
            exited.cancel()

    async def _warm(self) -> None:
        """Ask about a grey picture, with sampling: what reads pictures and what draws tokens is loaded or compiled by
        vLLM for the first request, which takes seconds.
        """
        parts = [{"type": "image_url", "image_url": {"url": encode(Image.new("RGB", (112, 112), "grey"))}},
                 {"type": "text", "text": "Which emotion does this face show?"}]  # fmt: skip
        body = {"model": next(iter(self.replica.models)), "max_tokens": 4, "temperature": 1,
                "messages": [{"role": "user", "content": parts}]}  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                await self.replica.complete(pydantic_core.to_json(body))
        except (TimeoutError, EngineGone, ApiError) as e:
            log.warning("engine %s did not answer a question for trial: %s", self.replica.name, e)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Pass on what the engine says. Its pipe must be emptied, or it stops."""
        assert process.stdout is not None  # noqa: S101 (a pipe, see _start)
        rest = b""
        while chunk := await process.stdout.read(2**16):
            *lines, rest = (rest + chunk).split(b"\n")
            self._tell(lines)
        self._tell([rest] if rest else [])

    def _tell(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if _DUMP not in line:
                text = line.decode("utf-8", "replace")
                sys.stderr.write(text + "\n")
                self._tail.append(text)

    async def _until_dead(self, upstream: Upstream) -> None:
        assert self.process is not None  # noqa: S101
        missed = 0
        while missed < _MISSES and self.process.returncode is None:
            await _look(self.replica)
            if await self.replica.alive():
                missed = 0
                upstream.mark(self.replica, up=True)
            else:
                missed += 1

    async def _end(self, how: signal.Signals, seconds: float = 10.0) -> None:
        """End the engine and everything that it started."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            log.warning("engine %s did not end by itself; it is killed", self.replica.name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what is left of the group
        await process.wait()
        if self._reader is not None:
            self._reader.cancel()


class Remote:
    """A vLLM server that somebody else started."""

    def __init__(self, url: str, config: Config, key: str | None = None) -> None:
        self.replica = Replica(url, url, {}, key=key)
        self._config = config

    async def watch(self, upstream: Upstream, counters: Counters) -> None:
        """Look at it until cancelled: up while it answers, with the models that it lists."""
        missed = _MISSES
        while True:
            if await self.replica.alive():
                if missed:
                    await self._greet(upstream)
                missed = 0 if self.replica.up else missed
            else:
                missed += 1
                if missed >= _MISSES and self.replica.up:
                    log.error("engine %s does not answer", self.replica.name)
                    upstream.mark(self.replica, up=False)
            await _look(self.replica)

    async def _greet(self, upstream: Upstream) -> None:
        try:
            found = await self.replica.list_models()
        except EngineGone as e:
            log.error("%s", e)
            return
        self.replica.models = {one["id"]: _known(one, self._config) for one in found}
        upstream.mark(self.replica, up=True)


def _known(card: dict[str, Any], config: Config) -> ServedModel:
    """A model by its entry in the engine's list; its facts are read if its folder is on this machine too."""
    root, parent, length = card.get("root"), card.get("parent"), card.get("max_model_len")
    base, longest = parent if isinstance(parent, str) else None, length if isinstance(length, int) else None
    return served(card["id"], root if isinstance(root, str) else card["id"], config, base, longest)
