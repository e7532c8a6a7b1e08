"""Explain faces in pictures: python -m facevlm.analyze photos/ --model runs/grpo --out faces.parquet

One row per picture: emotion, action units, thinking, and what it was made with. A picture that cannot be read is a
row with an error, not a crash. Each picture is taken as one face: crop first where there are several (left out here:
face detection, video).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from facevlm import config as configs
from facevlm.answer import MODES, Mode, Part, parse
from facevlm.checkpoint import pixel_budget, read_facts
from facevlm.config import ConfigError, doc
from facevlm.generate import EngineName, Generator, Request, engine
from facevlm.images import ImageError, find_images, load_face
from facevlm.prompts import question
from facevlm.record import whole_file
from facevlm.vocab import AUS, LABEL_SETS


@dataclass(frozen=True)
class Config:
    inputs: list[str] = doc("pictures and folders of pictures")
    model: str = doc("folder of a trained model, Hub name, or tiny")
    out: str = doc("file to write: .jsonl or .parquet")
    engine: EngineName = doc("auto (vLLM where installed), vllm, transformers", default="auto")
    mode: Mode = doc("explain (thinking, AUs, emotion), fast (AUs, emotion) or label (emotion)", default="explain")
    label_set: str | None = doc("emotions on offer, by label set; null = those the model was tuned on", default=None)
    batch: int = doc("pictures handed to the engine at a time", default=64)
    max_new_tokens: int = doc("longest answer in tokens", default=512)
    max_pixels: int | None = doc("most pixels of a picture; null = as the model was trained", default=None)


ROW = pa.schema(
    [
        ("path", pa.string()), ("emotion", pa.string()),
        ("aus", pa.list_(pa.struct([("au", pa.int16()), ("name", pa.string()), ("region", pa.string()),
                                    ("intensity", pa.int16())]))),
        ("thinking", pa.string()), ("text", pa.string()), ("faults", pa.list_(pa.string())), ("error", pa.string()),
        ("provenance", pa.string()),
    ]
)  # fmt: skip
"""Columns of the output. `aus` and `emotion` are null where the answer could not be read; `faults` says why, and
`error` says why a picture was not shown to the model at all. `provenance` is JSON."""


def analyze(paths: Sequence[Path], generator: Generator, text: str, parts: Sequence[Part], labels: Sequence[str],
            max_pixels: int, batch: int = 64, max_new_tokens: int = 512) -> Iterator[dict[str, Any]]:  # fmt: skip
    """One row (see `ROW`, without provenance) per picture, in the order of `paths`.

    Args:
        text: the question, as `prompts.question` writes it.
        parts: what the answer must hold.
        labels: emotions on offer.
        max_pixels: pixel budget of a picture.
    """
    for start in range(0, len(paths), batch):
        rows: list[dict[str, Any]] = []
        requests: dict[int, Request] = {}
        for i, path in enumerate(paths[start : start + batch]):
            rows.append(dict.fromkeys(ROW.names) | {"path": str(path)})
            try:
                requests[i] = Request((load_face(path, max_pixels=max_pixels),), text)
            except ImageError as e:
                rows[i]["error"] = str(e)
        replies = generator.generate(list(requests.values()), max_new_tokens) if requests else []
        for i, reply in zip(requests, replies, strict=True):
            said = parse(reply.text, parts, labels)
            aus = None if said.aus is None else [
                {"au": n, "name": AUS[n].name, "region": AUS[n].region, "intensity": level}
                for n, level in sorted(said.aus.items())
            ]  # fmt: skip
            rows[i] |= {"text": reply.text, "thinking": said.thinking, "aus": aus, "emotion": said.emotion,
                        "faults": list(said.faults)}  # fmt: skip
        yield from rows


def offered(config: Config) -> Sequence[str]:
    """The emotions to choose from.

    Raises:
        ConfigError: there is no such label set.
    """
    if config.label_set is None:
        return read_facts(config.model).get("labels") or LABEL_SETS["basic8"].labels
    if config.label_set not in LABEL_SETS:
        raise ConfigError(f"label_set {config.label_set!r} is unknown; known: {', '.join(LABEL_SETS)}")
    return LABEL_SETS[config.label_set].labels


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """Write all rows as JSON lines or Parquet, by the file's ending; the file is whole or absent."""
    with whole_file(out) as draft:
        if out.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows, schema=ROW), draft, compression="zstd")
        else:
            plain = (row | {"provenance": json.loads(row["provenance"])} for row in rows)
            draft.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain))


def run(config: Config, generator: Generator | None = None) -> list[dict[str, Any]]:
    """Analyse what the config names and write it; `generator` replaces the config's model and engine.

    Raises:
        ConfigError, FileNotFoundError, ValueError: what was given cannot work.
    """
    out = Path(config.out)
    if out.suffix not in (".jsonl", ".parquet"):
        raise ConfigError(f"out {config.out!r} must end in .jsonl or .parquet")
    paths = find_images(config.inputs)
    parts, labels = MODES[config.mode], offered(config)
    max_pixels = config.max_pixels or pixel_budget(config.model)
    text = question(parts, labels)
    generator = generator or engine(config.model, config.engine)
    provenance = json.dumps({
        "model": config.model, "engine": generator.engine, "mode": config.mode, "max_pixels": max_pixels,
        "prompt_sha256": hashlib.sha256(text.encode()).hexdigest(), "versions": configs.versions(),
    })  # fmt: skip
    found = analyze(paths, generator, text, parts, labels, max_pixels, config.batch, config.max_new_tokens)
    rows = [row | {"provenance": provenance} for row in tqdm(found, "faces", len(paths), unit="img")]
    write(rows, out)
    return rows


def main() -> None:
    config = configs.load(Config, __doc__, inputs="inputs")
    try:
        rows = run(config)
    except (FileNotFoundError, ValueError) as e:
        raise SystemExit(f"error: {e}") from None
    failed = [row for row in rows if row["error"]]
    odd = sum(bool(row["faults"]) for row in rows)
    print(f"{len(rows)} pictures: {len(rows) - len(failed)} answered, {odd} of them not quite in the form; "
          f"{len(failed)} unreadable")  # fmt: skip
    for row in failed[:5]:
        print(f"  {row['error']}")
    print(f"written to {config.out}")


if __name__ == "__main__":
    main()
