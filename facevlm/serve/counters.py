"""What the gateway counts, for Prometheus: GET /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Counters:
    """One registry a gateway, so that two in one process do not meet."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter("facevlm_requests", "requests answered", ("route", "status", "key"), registry=registry)
        self.seconds = Histogram("facevlm_request_seconds", "from the head of a request to the end of its answer",
                                 ("route",), buckets=_SECONDS, registry=registry)  # fmt: skip
        self.under_way = Gauge("facevlm_requests_under_way", "requests under way", registry=registry)
        self.waiting = Gauge("facevlm_requests_waiting", "requests that wait for an engine", registry=registry)
        self.buffered = Gauge("facevlm_buffered_bytes", "bodies of the requests under way", registry=registry)
        self.refused = Counter("facevlm_refused", "requests refused, by error code", ("code",), registry=registry)
        self.pictures = Counter("facevlm_pictures", "pictures taken (ok), or refused by reason", ("outcome",),
                                registry=registry)  # fmt: skip
        self.tokens = Counter("facevlm_tokens", "tokens as the engine counts them", ("model", "kind"),
                              registry=registry)  # fmt: skip
        self.engine_up = Gauge("facevlm_engine_up", "1 where the engine answers", ("engine",), registry=registry)
        self.engine_starts = Counter("facevlm_engine_starts", "starts of an engine of ours", ("engine",),
                                     registry=registry)  # fmt: skip

    def page(self) -> bytes:
        """What GET /metrics answers."""
        return generate_latest(self.registry)
