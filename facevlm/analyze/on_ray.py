"""The same rows by many machines: Ray Data decodes and cuts out, Ray Data LLM's vLLM engines answer.

Parts are divided among tasks that read the inputs as any run does; every machine must see the same folders. Answers
come back in any order and are put together here, part by part, so that what is killed goes on as it does without Ray.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from facevlm.analyze.inputs import selected
from facevlm.analyze.looking import End, fetch, looking
from facevlm.analyze.rows import Row, plain
from facevlm.analyze.settings import Job
from facevlm.analyze.steps import Steps, steps
from facevlm.analyze.store import Store
from facevlm.checkpoint import adapter_of, resolve
from facevlm.config import ConfigError
from facevlm.detect import detector

_ENV = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
_CONTEXT = 4096
"""Tokens of prompt and answer, as of `facevlm.generate.VLLM`."""
_BATCHES = 8
"""Batches under way at a time in one engine: Ray's default."""
_TASKS = 4
"""Tasks that look at pictures, for each engine."""


def analyze_on_ray(job: Job, store: Store, found: Sequence[Path],
                   missing: Sequence[int]) -> Iterator[tuple[End, list[Row]]]:  # fmt: skip
    """The rows of the missing parts, in any order; a part that shows no face at all is left out.

    Raises:
        ConfigError: Ray is not installed.
    """
    ray = _started()
    from ray.data.llm import build_processor

    asked = steps(job)
    base, adapter = adapter_of(resolve(job.config.model))
    base = os.path.abspath(base) if Path(base).is_dir() else base
    adapted = {} if adapter is None else {"model": os.path.abspath(adapter.path)}
    gpu = bool(ray.cluster_resources().get("GPU"))
    processor = build_processor(_engine(job, base, adapter.rank if adapter else None, gpu),
                                preprocess=partial(_request, asked, adapted), postprocess=partial(_reply, asked))
    tasks = min(len(missing), _TASKS * job.config.replicas)
    shares = ray.data.from_items([{"parts": list(missing[i::tasks])} for i in range(tasks)], override_num_blocks=tasks)
    parts: defaultdict[int, _Part] = defaultdict(_Part)
    faces = shares.flat_map(partial(_faces, job, store, list(found), len(asked.steps), os.getcwd()))
    for reply in processor(faces).iter_rows():
        part = parts[reply["part"]]
        part.add(reply, asked)
        if whole := part.done(asked):
            del parts[reply["part"]]
            yield whole


def _started() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
        import ray.data
    except ImportError as e:
        raise ConfigError("ray=true needs Ray Data: pip install facevlm[ray]") from e
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours shows pictures, not Ray's blocks
    return ray


def _engine(job: Job, base: str, rank: int | None, gpu: bool) -> Any:
    """The engines, with the options of `facevlm.generate.VLLM`; the stages before and after are ours."""
    from ray.data.llm import vLLMEngineProcessorConfig

    options: dict[str, Any] = {"max_model_len": _CONTEXT, "dtype": "auto", "disable_log_stats": True,
                               "limit_mm_per_prompt": {"image": 1, "video": 0}}  # fmt: skip
    options |= {"gpu_memory_utilization": 0.85} if gpu else {"enforce_eager": True}
    options |= {} if rank is None else {"enable_lora": True, "max_lora_rank": max(16, rank)}
    return vLLMEngineProcessorConfig(
        model_source=base, engine_kwargs=options, concurrency=job.config.replicas, log_engine_metrics=False,
        batch_size=max(1, job.config.batch // _BATCHES), runtime_env={"env_vars": _ENV},
        prepare_multimodal_stage=False, chat_template_stage=False, tokenize_stage=False, detokenize_stage=False,
        # Without this line each engine asks for a GPU.
        placement_group_config=None if gpu else {"bundles": [{"CPU": 1}]},
    )  # fmt: skip


def _faces(job: Job, store: Store, found: list[Path], n: int, here: str,
           share: dict[str, Any]) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The faces of some parts, each n times, once for each step; the last of a part brings all rows of it along."""
    os.chdir(here)  # paths are as they were given; this process is Ray's
    looked = looking(job, detector(job.config.detector, job.config.detector_options),
                     fetch(selected(found, job.config), store, share["parts"]))  # fmt: skip
    for part in sorted(share["parts"]):
        rows: list[Row] = []
        last: dict[str, Any] | None = None
        for thing in looked:
            if isinstance(thing, End):
                break
            for row, face in thing.rows:
                if face is not None:
                    yield from _stepped(last, n)
                    last = {"part": part, "at": len(rows), "width": face.width, "height": face.height,
                            "pixels": face.tobytes(), "pictures": 0, "digest": "", "rows": b""}  # fmt: skip
                rows.append(row)
        if last is not None and isinstance(thing, End):
            whole = {"pictures": thing.pictures, "digest": thing.digest, "rows": _packed(rows, store.schema)}
            yield from _stepped(last | whole, n)


def _stepped(face: dict[str, Any] | None, n: int) -> list[dict[str, Any]]:
    return [] if face is None else [face | {"step": i} for i in range(n)]


def _request(asked: Steps, adapted: dict[str, str], face: dict[str, Any]) -> dict[str, Any]:
    """A row as Ray Data LLM's engine takes it."""
    step = asked.steps[face["step"]]
    picture = Image.frombytes("RGB", (face["width"], face["height"]), face["pixels"])
    kept = {name: value for name, value in face.items() if name not in ("pixels", "width", "height")}
    return kept | adapted | {"tokenized_prompt": step.tokens, "multimodal_data": {"image": [picture]},
                             "sampling_params": step.options}  # fmt: skip


def _reply(asked: Steps, out: dict[str, Any]) -> dict[str, Any]:
    """What is wanted of the engine's row."""
    tokens = asked.steps[out["step"]].options.get("logprob_token_ids", ())
    logprobs = [float(out["logprobs"][0][token]["logprob"]) for token in tokens]
    kept = {name: out[name] for name in ("part", "at", "step", "pictures", "digest", "rows")}
    return kept | {"text": out["generated_text"], "logprobs": logprobs}


def _packed(rows: list[Row], schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist([plain(row, schema.names) for row in rows], schema=schema))
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


class _Part:
    """What came back of a part so far."""

    def __init__(self) -> None:
        self.replies: dict[int, dict[int, dict[str, Any]]] = {}
        """By row and step."""
        self.end: End | None = None
        self.rows: list[Row] = []
        self.left = 0
        """Replies that are yet to come; below 0 as long as it is not known how many there will be."""

    def add(self, reply: dict[str, Any], asked: Steps) -> None:
        tokens = asked.steps[reply["step"]].options.get("logprob_token_ids", ())
        said = {"text": reply["text"], "logprobs": dict(zip(tokens, reply["logprobs"], strict=True))}
        self.replies.setdefault(reply["at"], {})[reply["step"]] = said
        self.left -= 1
        if reply["rows"] and self.end is None:
            self.end = End(reply["part"], reply["pictures"], reply["digest"])
            self.rows = pa.ipc.open_stream(reply["rows"]).read_all().to_pylist()
            self.left += len(asked.steps) * sum(row["error"] is None for row in self.rows)

    def done(self, asked: Steps) -> tuple[End, list[Row]] | None:
        """All rows, once they are there."""
        if self.end is None or self.left:
            return None
        for at, replies in self.replies.items():
            self.rows[at] |= asked.read(replies)
        return self.end, self.rows
