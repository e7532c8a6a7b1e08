"""Serve models to programs and people: python -m facevlm.serve --model runs/grpo

Starts vLLM on a private socket and the gateway in front of it: POST /v1/chat/completions and GET /v1/models as
OpenAI's, POST /v1/faces/analyze, a web page at /. With engine_url=[http://…] it uses vLLM servers that run already.
On any address but loopback it asks for keys: python -m facevlm.serve.keys
"""

import logging
import signal
from collections.abc import Sequence

import uvloop

from facevlm import config as configs
from facevlm.config import ConfigError
from facevlm.serve.service import Service
from facevlm.serve.settings import Config

log = logging.getLogger("facevlm.serve")

BANNER = """\
==================================================================================================================
 DEMONSTRATION: this is the embedded model, 3.4 million parameters that have seen drawn faces alone.
 What it says about a photograph means nothing, and it has not been taught to explain: most of its explanations
 cannot be read. `make quickstart` teaches it, on drawings: --model runs/quickstart/grpo. Yours: --model runs/grpo.
=================================================================================================================="""


def main(argv: Sequence[str] | None = None) -> None:
    config = configs.load(Config, __doc__, argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    if config.demonstration:
        print(BANNER, flush=True)
    if not config.asks_for_keys and not config.loopback:
        log.warning("auth is false, and others can reach the service: what stands in front must ask who calls")
    try:
        service = Service(config)
        print(f"facevlm serves on {service.url} ({'with' if config.asks_for_keys else 'without'} keys); "
              "the engines start, see /readyz", flush=True)  # fmt: skip
        uvloop.run(service.run())
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
