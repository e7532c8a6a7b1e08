"""The keys of `python -m facevlm.serve`, and which of them cannot go together."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from facevlm.config import ConfigError, doc
from facevlm.serve.faces.settings import FaceKeys


@dataclass(frozen=True)
class Config(FaceKeys):
    model: str | None = doc("folder of a trained model or adapter, Hub name, or tiny; null = the embedded model, "
                            "which demonstrates the service on drawn faces", default=None)  # fmt: skip
    models: dict[str, str] = doc("further models, by the name to ask for them: {sft: runs/sft}; adapters "
                                 "of one base share an engine, which serves the base too",
                                 default_factory=dict)  # fmt: skip
    engine_url: list[str] = doc("running vLLM servers to use instead of starting one: [http://10.0.0.5:8001, ...]; "
                                "several that serve one model share its load", default_factory=list)  # fmt: skip
    engine_key_env: str | None = doc("environment variable with the key of those servers", default=None)
    engine_args: list[str] = doc("more arguments of `vllm serve`: [--tensor-parallel-size=2]", default_factory=list)
    max_model_len: int = doc("longest prompt and answer in tokens, image tokens included", default=4096)
    gpu_memory: float = doc("share (0-1) of the GPU's memory that the engines may take together", default=0.85)
    picture_cache_gb: float = doc("memory in which an engine keeps prepared pictures that are asked about again, GiB; "
                                  "with any, vLLM 0.31 may fail a picture that is asked about twice at once",
                                  default=0.0)  # fmt: skip
    max_pixels: int | None = doc("most pixels of a picture; null = as the model was trained", default=None)
    start_seconds: float = doc("longest start of an engine", default=900.0)

    host: str = doc("address to listen on; any but loopback needs keys and a purpose", default="127.0.0.1")
    port: int = doc("port to listen on; 0 takes a free one", default=8000)
    hosts: list[str] = doc("names by which clients may call the service, *.example.org for any below; empty = any, on "
                           "loopback without keys the names of loopback", default_factory=list)  # fmt: skip
    cors_origins: list[str] = doc("web pages elsewhere that may call: [https://lab.example.org]", default_factory=list)
    auth: bool | None = doc("ask for keys; null = unless bound to loopback", default=None)
    keys: str | None = doc("file of keys, see `python -m facevlm.serve.keys --help`; the environment variable "
                           "FACEVLM_KEYS holds more", default=None)  # fmt: skip
    purpose: str | None = doc("what the service is for and who answers for it, in a sentence: shown by /v1/policy",
                              default=None)  # fmt: skip
    allow_emotion_inference_at_work_or_school: bool = doc(
        "answer requests that say they are about people at work or in education, which the EU AI Act, Art. 5(1)(f), "
        "prohibits but for medical and safety reasons", default=False)  # fmt: skip
    log_requests: bool = doc("log one line a request: route, status, time, name of the key", default=False)
    log_answers: bool = doc("log what the model answered; pictures are never logged", default=False)

    rate_per_minute: float = doc("requests (each picture of a face analysis is one) a key may send for long",
                                 default=1200.0)  # fmt: skip
    burst: int = doc("requests a key may send at once beyond that", default=256)
    concurrent_per_key: int = doc("requests of one key under way at once", default=128)
    max_connections: int = doc("connections at once", default=2000)
    max_body_mb: float = doc("longest request, MiB", default=32.0)
    max_buffered_mb: float = doc("all requests under way together, MiB", default=1024.0)
    max_images: int = doc("most pictures of one question", default=4)
    max_image_mb: float = doc("longest picture file, MiB", default=16.0)
    max_image_megapixels: float = doc("most pixels of a picture as it is sent, in millions", default=40.0)
    max_prompt_chars: int = doc("longest text of one conversation, characters", default=32_000)
    max_answer_tokens: int = doc("longest answer that may be asked for, and the default, tokens", default=1024)
    max_choices: int = doc("most answers to one question (n)", default=8)
    header_seconds: float = doc("longest a client may take to send the head of a request", default=10.0)
    body_seconds: float = doc("longest a client may take to send the body", default=60.0)
    idle_seconds: float = doc("longest pause within a body", default=10.0)
    request_seconds: float = doc("longest a request may take in all", default=600.0)
    per_engine: int = doc("requests that an engine is given at once; the others wait here", default=128)
    max_waiting: int = doc("requests that may wait; what comes then is refused with 503", default=1024)
    wait_seconds: float = doc("longest wait for an engine, over its restart too; then 503", default=120.0)
    drain_seconds: float = doc("after SIGTERM, longest wait for requests under way", default=30.0)
    threads: int = doc("threads that read and cut pictures", default=4)
    allow_hosts: list[str] = doc("hosts from which pictures may be fetched by URL, *.example.org for any below; empty "
                                 "= none", default_factory=list)  # fmt: skip
    fetch_seconds: float = doc("longest fetch of a picture", default=10.0)

    def __post_init__(self) -> None:
        faults = list(self.face_faults())
        faults += [f"{name}: must be above 0, got {getattr(self, name)}" for name in _POSITIVE
                   if getattr(self, name) <= 0]  # fmt: skip
        if not 0 <= self.port <= 65535:
            faults.append(f"port: must be 0 to 65535, got {self.port}")
        if not 0 < self.gpu_memory <= 1:
            faults.append(f"gpu_memory: must be above 0 and at most 1, got {self.gpu_memory}")
        if self.picture_cache_gb < 0:
            faults.append(f"picture_cache_gb: must be 0 or more, got {self.picture_cache_gb}")
        if self.engine_url and (self.model or self.models or self.engine_args):
            faults.append("engine_url: those servers have their models; leave out model, models and engine_args")
        for url in self.engine_url:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                faults.append(f"engine_url: {url!r} is no address of a server; it looks like http://10.0.0.5:8001")
        if self.auth is False and self.keys:
            faults.append("keys: given, but auth is false; leave out one of the two")
        if not self.loopback and not (self.purpose or "").strip():
            faults.append(f"purpose: is required where others can reach the service (host {self.host}); say in a "
                          "sentence what it is for and who answers for it")  # fmt: skip
        if faults:
            raise ConfigError("the config has faults:\n  " + "\n  ".join(faults))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def asks_for_keys(self) -> bool:
        return not self.loopback if self.auth is None else self.auth

    @property
    def demonstration(self) -> bool:
        """Whether the embedded model is served because none was named."""
        return self.model is None and not self.models and not self.engine_url


_POSITIVE = ("max_model_len", "start_seconds", "rate_per_minute", "burst", "concurrent_per_key", "max_connections",
             "max_body_mb", "max_buffered_mb", "max_images", "max_image_mb", "max_image_megapixels",
             "max_prompt_chars", "max_answer_tokens", "max_choices", "header_seconds", "body_seconds", "idle_seconds",
             "request_seconds", "per_engine", "max_waiting", "wait_seconds", "drain_seconds", "threads",
             "fetch_seconds")  # fmt: skip
