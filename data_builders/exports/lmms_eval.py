"""A folder of tasks for lmms-eval's --include_path: for each task a YAML and a Parquet file, and utils.py for all.

utils.py is `data_builders/lmms_task.py`, word for word. It imports facevlm's reader and metrics instead of holding a
copy: two readers would drift apart, and facevlm without extras brings in nothing that lmms-eval does not have.
"""

import inspect
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_builders import lmms_task
from data_builders.outgoing import Export, Format
from facevlm import __version__
from facevlm.config import ConfigError
from facevlm.tasks import TASKS

_TEXTS, _NUMBERS = pa.list_(pa.string()), pa.list_(pa.int64())
SCHEMA = pa.schema([
    ("question", pa.string()), ("answer", pa.string()), ("images", _TEXTS),
    ("boxes", pa.list_(pa.list_(pa.float64()))), ("record_id", pa.string()), ("source", pa.string()),
    ("licence", pa.string()), ("subject", pa.string()), ("task", pa.string()), ("parts", _TEXTS), ("labels", _TEXTS),
    ("value", pa.string()), ("aus", _NUMBERS), ("labelled_aus", _NUMBERS), ("au_threshold", pa.float64()),
])  # fmt: skip
"""A row of a task; `boxes` holds a face box or null for each of `images`."""

_YAML = """\
task: {name}
tag: {tag}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {task}.parquet
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
reasoning_tags: none             # the reasons are part of the answer form: without them it would be read as broken
cluster_key: subject
generation_kwargs:
  max_new_tokens: {tokens}
  temperature: 0
  do_sample: false
  until: []                      # reasons may hold an empty line, where lmms-eval would stop
metric_list:
{metrics}metadata:
  version: {version}
"""
_METRIC = """\
  - metric: {metric}
    aggregation: !function utils.{aggregation}
    higher_is_better: {better}
"""
_LOWER = ("mae", "parse_failure_rate")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.lower())


def _check(export: Export) -> None:
    if texts := [name for name in export.tasks if TASKS[name].form.kind == "text"]:
        raise ConfigError(f"task {', '.join(texts)} asks for a free text, for which there is no metric")
    if len(export.rows) > 1:
        raise ConfigError(f"a test is of one split, not of {', '.join(export.rows)}; name one in `splits`")


def metrics(task: str) -> list[tuple[str, str]]:
    """The metrics of a task with their aggregations."""
    parts, known = TASKS[task].parts, lmms_task.METRICS
    return [
        *(known["au"] if "au" in parts else ()),
        *(known[TASKS[task].form.kind] if "answer" in parts else ()),
        ("parse_failure_rate", "mean"),
    ]


def _task(export: Export, task: str) -> str:
    lines = (_METRIC.format(metric=metric, aggregation=aggregation, better=str(metric not in _LOWER).lower())
             for metric, aggregation in metrics(task))  # fmt: skip
    return _YAML.format(name=f"{_slug(export.name)}_{task}", tag=f"facevlm_{_slug(export.name)}", task=task,
                        tokens=512 if "think" in TASKS[task].parts else 128, metrics="".join(lines),
                        version=__version__)  # fmt: skip


def _write(export: Export, folder: Path) -> None:
    (split,) = export.rows
    rows: dict[str, list[dict[str, object]]] = {}
    for (record, task), example in zip(export.rows[split], export.examples(split), strict=True):
        # A picture that was written anew is cut out already.
        boxes = [None if picture in export.copies else picture[1] for picture in export.pictures(record, task)]
        rows.setdefault(task, []).append({
            **example, "question": example["prompt"][0]["content"], "answer": example["completion"][0]["content"],
            "boxes": boxes, "subject": record.subject and f"{record.source}/{record.subject}",
            "au_threshold": record.au_threshold,
        })  # fmt: skip
    for task, some in rows.items():
        pq.write_table(pa.Table.from_pylist(some, schema=SCHEMA), folder / f"{task}.parquet", compression="zstd")
        (folder / f"{task}.yaml").write_text(_task(export, task), encoding="utf-8")
    shutil.copyfile(inspect.getfile(lmms_task), folder / "utils.py")


def _load(export: Export) -> str:
    (rows,) = export.rows.values()
    asked = {task for _, task in rows}
    names = ", ".join(f"`{_slug(export.name)}_{task}`" for task in export.tasks if task in asked)
    start = "" if export.base is None else f"FACEVLM_MEDIA_ROOT={export.base} "
    return f"""\
lmms-eval (0.7). Tasks: {names}, or all of them by the tag `facevlm_{_slug(export.name)}`.

```
pip install <the folder of facevlm>      # into the environment of lmms-eval: its reader, pictures and metrics
{start}python -m lmms_eval --model qwen3_vl --model_args pretrained=Qwen/Qwen3-VL-4B-Instruct,max_pixels=262144 \\
  --include_path {export.out} --tasks facevlm_{_slug(export.name)} --batch_size 1 \\
  --output_path runs/lmms-eval --log_samples
```

The answer form is read strictly, as in `eval.run`: a model that was never taught it scores about 0 and shows a
`parse_failure_rate` of about 1. `_stderr_clustered` is by subject; macro averages have none, `eval.run` has."""


LMMS_EVAL = Format("lmms-eval", _write, _load, _check, splits=("test",), seed=False, as_facevlm=True)
