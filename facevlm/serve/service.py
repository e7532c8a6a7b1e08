"""A whole service: the engines, the gateway and the server in front, from start to end."""

import asyncio
import os
import signal
import socket
import sys

import uvicorn

from facevlm.config import ConfigError
from facevlm.serve.app import create_app
from facevlm.serve.counters import Counters
from facevlm.serve.door.connections import limited_protocol
from facevlm.serve.engines.engine import Engine, Remote
from facevlm.serve.engines.launch import Launch, arguments, environment, on_cpu, plan
from facevlm.serve.engines.upstream import Upstream
from facevlm.serve.gateway import Gateway
from facevlm.serve.keys import KeyRing
from facevlm.serve.pictures import Pictures
from facevlm.serve.settings import Config


def engines(config: Config) -> list[Engine | Remote]:
    """What watches over each engine of a config; nothing is started yet.

    Raises:
        ConfigError: a model, an adapter or vLLM is not there, or a key is not set.
    """
    if config.engine_url:
        key = os.environ.get(config.engine_key_env, "").strip() if config.engine_key_env else None
        if key == "":
            raise ConfigError(f"engine_key_env names {config.engine_key_env}, which is not set: export it")
        return [Remote(url, config, key) for url in config.engine_url]
    launches, cpu = plan(config), on_cpu()
    me = [sys.executable, "-m", "facevlm.serve.engines.child", str(os.getpid())]

    def engine(launch: Launch) -> Engine:
        return Engine(launch, launch.base_name,
                      lambda path: [*me, *arguments(launch, path, config, len(launches), cpu)], config,
                      environment(cpu))  # fmt: skip

    return [engine(launch) for launch in launches]


class _Server(uvicorn.Server):
    """uvicorn that lets the gateway know when it is told to end, and does not end the process by that very signal
    before the engines are ended: uvicorn itself raises it once more."""

    def __init__(self, config: uvicorn.Config, upstream: Upstream) -> None:
        super().__init__(config)
        self._upstream = upstream

    def handle_exit(self, sig: int, frame: object) -> None:
        del frame
        self._upstream.draining = True
        self.force_exit = self.should_exit and sig == signal.SIGINT  # Ctrl-C twice: do not wait for what is under way
        self.should_exit = True


def listen(config: Config) -> socket.socket:
    """The socket to serve on, bound before any engine starts.

    Raises:
        ConfigError: the address is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((config.host, config.port))
        found.listen(2048)  # who calls before the server runs waits, and is not turned away
    except OSError as e:
        found.close()
        raise ConfigError(f"cannot listen on {config.host}:{config.port}: {e.strerror}; give another host or "
                          "port") from e  # fmt: skip
    return found


class Service:
    """One gateway on one port; `run` serves until `stop`, SIGTERM or SIGINT."""

    def __init__(self, config: Config) -> None:
        """Bind the port and look for the models; nothing is started yet.

        Raises:
            ConfigError: a model, a key or vLLM is missing, or the port is taken.
        """
        self._config = config
        counters = Counters()
        keys = KeyRing(config.keys) if config.asks_for_keys else None
        self.engines = engines(config)
        upstream = Upstream([one.replica for one in self.engines], config, counters)
        self.gateway = Gateway(config, upstream, Pictures(config, counters), counters, keys)
        app = create_app(self.gateway)
        self._door = listen(config)
        host, self.port = self._door.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._server = _Server(uvicorn.Config(
            app, http=limited_protocol(config.header_seconds), ws="none", lifespan="on", access_log=False,
            log_level="warning", server_header=False, timeout_keep_alive=30,
            limit_concurrency=config.max_connections, timeout_graceful_shutdown=round(config.drain_seconds),
            proxy_headers=False), upstream)  # fmt: skip

    async def run(self) -> None:
        """Serve; at the end finish what is under way, then end the engines.

        Raises:
            ConfigError: an engine could not be started the first time.
        """
        gateway = self.gateway
        watches = [asyncio.create_task(one.watch(gateway.upstream, gateway.counters)) for one in self.engines]
        for watch in watches:
            # An engine that cannot start at all ends the service: nobody should have to read logs to see it.
            watch.add_done_callback(lambda _: self.stop())
        try:
            await self._server.serve(sockets=[self._door])
        finally:
            failed = [watch.exception() for watch in watches if watch.done() and not watch.cancelled()]
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await gateway.upstream.close()
            await gateway.pictures.close()
            self._door.close()
        for error in failed:
            if error is not None:
                raise error

    def stop(self) -> None:
        """Take no more requests and end `run`; may be called from another thread."""
        self.gateway.upstream.draining = True
        self._server.should_exit = True
