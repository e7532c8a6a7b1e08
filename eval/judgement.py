"""Ask a model what no face can show (trustworthy? competent?) about faces that differ in one trait alone.

    python -m eval.judgement model=runs/grpo records=data/counterfactual out=runs/eval/judgement

The records are counterfactual groups (configs/data/counterfactual.yaml, docs/bias.md). Each of ten pairs of words is
asked in both orders by label probabilities, so the engine must be vLLM or transformers. Writes answers.jsonl (as soon
as a batch is answered: killed and started again, it asks the rest only), judgement.json and judgement.html. No answer
is right and none is a fact about a person: what the numbers show, and what they do not, is in docs/fairness.md.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.frame.folders import folders, read_together
from eval.frame.predictions import Key
from eval.groups.counterfactual import PAIR, SUBGROUP
from eval.groups.disparity import LEAST, Settings
from eval.groups.judgement_page import page, verdict
from eval.groups.judgements import JUDGEMENTS, Judgement, question
from eval.groups.perception import Judged, summary
from eval.pages.sheet import write_sheet
from facevlm.checkpoint import folder, pixel_budget
from facevlm.config import ConfigError, doc, load, versions, write_resolved
from facevlm.generate import EngineName, Generator, LabelProbs, Request, engine
from facevlm.images import ImageError, load_face
from facevlm.record import FaceRecord, RecordSet, whole_file


@dataclass(frozen=True)
class JudgementConfig:
    model: str = doc("checkpoint folder, adapter folder, Hub name, or \"tiny\" for the embedded model")
    records: str = doc("folder of counterfactual groups, made by data_builders.build")
    out: str = doc("folder to write to; an unfinished run there goes on")
    split: str | None = doc("which split of the records; null = all", default="test")
    engine: EngineName = doc("what runs the model", default="auto")
    batch: int = doc("faces handed to the engine at a time", default=64)
    max_pixels: int | None = doc("most pixels of a face; null = as the model was trained", default=None)
    limit: int | None = doc("only the first so many groups", default=None)
    least: int = doc("faces below which a value of the trait is named without a number", default=LEAST)
    bootstrap: int = doc("resamples for intervals and p values; 0 = none", default=2000)
    seed: int = doc("of the resamples", default=0)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.least < 1 or self.bootstrap < 0 or (self.limit is not None and self.limit < 1):
            raise ConfigError(f"batch={self.batch}, least={self.least}, bootstrap={self.bootstrap}, "
                              f"limit={self.limit}: they start at 1, bootstrap at 0")  # fmt: skip


Answers = dict[Key, dict[str, float]]


def collect(config: JudgementConfig) -> tuple[RecordSet, list[FaceRecord]]:
    """The records, and those among them that are of a group with two values or more.

    Raises:
        ConfigError: there are none.
    """
    try:
        faces = read_together(config.records)
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(str(e)) from e
    found: dict[tuple[str, str], list[FaceRecord]] = {}
    for record in faces.records:
        pair, value = record.attributes.get(PAIR), record.attributes.get(SUBGROUP)
        if config.split in (None, record.split) and pair and value:
            found.setdefault((record.source, pair), []).append(record)
    groups = [some for some in found.values() if len({one.attributes[SUBGROUP] for one in some}) > 1]
    if not groups:
        raise ConfigError(f"{config.records} holds no counterfactual groups in split {config.split!r}: records with "
                          "attributes pair and subgroup, such as configs/data/counterfactual.yaml makes")  # fmt: skip
    return faces, [record for some in groups[: config.limit] for record in some]


def _ask(generator: LabelProbs, judgement: Judgement, requests: Sequence[Any]) -> list[float]:
    """(faces,) the probability of the high word, the mean of the two orders."""
    totals = [0.0] * len(requests)
    for first, second in judgement.orders():
        asked = [Request(pictures, question(first, second)) for pictures in requests]
        for i, chances in enumerate(generator.label_probs(asked, (first, second))):
            totals[i] += chances[judgement.high] / 2
    return totals


def ask_all(config: JudgementConfig, generator: LabelProbs, faces: RecordSet,
            todo: Sequence[FaceRecord], max_pixels: int) -> Iterator[tuple[Answers, dict[Key, str]]]:  # fmt: skip
    """Answers batch by batch, and the pictures that cannot be read with the reason."""
    for start in range(0, len(todo), config.batch):
        pictures: dict[Key, Any] = {}
        faults: dict[Key, str] = {}
        for record in todo[start : start + config.batch]:
            key = (record.source, record.id)
            try:
                pictures[key] = tuple(load_face(path, record.still_box, max_pixels) for path in faces.paths(record))
            except ImageError as e:
                faults[key] = str(e)
        found: Answers = {key: {} for key in pictures}
        for judgement in JUDGEMENTS if pictures else ():
            for key, chance in zip(pictures, _ask(generator, judgement, list(pictures.values())), strict=True):
                found[key][judgement.name] = chance
        yield found, faults


def _read(path: Path) -> Answers:
    """The answers that are there already; a last line that was cut short is left out."""
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.is_file() else []
    return {(row["source"], row["id"]): row["chances"] for row in rows}


def _line(key: Key, chances: Mapping[str, float]) -> str:
    return json.dumps({"source": key[0], "id": key[1], "chances": dict(chances)}) + "\n"


def _made(config: JudgementConfig, max_pixels: int) -> dict[str, Any]:
    """What an answer depends on."""
    digest = hashlib.blake2b(digest_size=8)
    for path in folders(config.records):
        for shard in sorted(path.glob("records-*.parquet")):
            digest.update(shard.read_bytes())
    weights = [[path.name, path.stat().st_size, path.stat().st_mtime_ns]
               for path in sorted(folder(config.model).glob("*.safetensors"))]  # fmt: skip
    return {"model": config.model, "weights": weights, "records": digest.hexdigest(), "max_pixels": max_pixels,
            "questions": [question(*order) for judgement in JUDGEMENTS for order in judgement.orders()]}  # fmt: skip


def _check_same(out: Path, facts: Mapping[str, Any]) -> None:
    """Write what must stay the same, or hold it against what is there.

    Raises:
        ConfigError: what is there was made in another way.
    """
    file = out / "run.json"
    if file.is_file():
        before = json.loads(file.read_text())["fingerprint"]
        if odd := [key for key in facts if before.get(key) != json.loads(json.dumps(facts[key]))]:
            raise ConfigError(f"{out} holds judgements made in another way ({', '.join(odd)} differ); choose another "
                              "out")  # fmt: skip
        return
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as draft:
        draft.write_text(json.dumps({"fingerprint": facts, "versions": versions()}, indent=2) + "\n")


def judge(config: JudgementConfig, start: Callable[[], Generator]) -> dict[str, Any]:
    """Ask what was not asked before, compare, write. Returns what judgement.json holds.

    Raises:
        ConfigError: no groups, an engine without label probabilities, or an `out` of another run.
    """
    faces, asked = collect(config)
    out, max_pixels = Path(config.out), config.max_pixels or pixel_budget(config.model)
    _check_same(out, _made(config, max_pixels))
    path, faults = out / "answers.jsonl", dict[Key, str]()
    rows = _read(path)
    with whole_file(path) as draft:
        draft.write_text("".join(_line(*row) for row in rows.items()))
    if todo := [record for record in asked if (record.source, record.id) not in rows]:
        generator = start()
        if not isinstance(generator, LabelProbs):
            raise ConfigError(f"engine {generator.engine} tells no label probabilities; use vllm or transformers")
        with path.open("a") as file, tqdm(total=len(asked), initial=len(asked) - len(todo), unit="faces",
                                          disable=None) as bar:  # fmt: skip
            for found, failed in ask_all(config, generator, faces, todo, max_pixels):
                file.writelines(_line(*row) for row in found.items())
                file.flush()
                rows, faults = rows | found, faults | failed
                bar.update(len(found) + len(failed))
    write_resolved(config, out)
    result = {"model": config.model, "records": config.records, "split": config.split,
              **compare(asked, rows, Settings(config.least, config.bootstrap, config.seed)),
              "unreadable_images": len(faults), "question": question("A", "B"), "versions": versions()}  # fmt: skip
    with whole_file(out / "judgement.json") as draft:
        draft.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_sheet(out / "judgement.html", page(result))
    return result


def compare(records: Sequence[FaceRecord], rows: Answers, settings: Settings) -> dict[str, Any]:
    """The judgements of the groups whose faces could all be shown.

    Raises:
        ConfigError: there are none.
    """
    groups: dict[str, list[FaceRecord]] = {}
    for record in records:
        groups.setdefault(f"{record.source}/{record.attributes[PAIR]}", []).append(record)
    whole = {name: some for name, some in groups.items() if all((r.source, r.id) in rows for r in some)}
    judged = [Judged(name, r.attributes[SUBGROUP], r.emotion, r.subject and f"{r.source}/{r.subject}",
                     rows[r.source, r.id]) for name, some in whole.items() for r in some]  # fmt: skip
    if not judged:
        raise ConfigError("no group could be shown whole: its pictures cannot be read; build the records anew")
    changed = sorted({name for some in groups.values() for name in some[0].attributes if name not in (PAIR, SUBGROUP)
                      and len({r.attributes.get(name) for r in some}) > 1})  # fmt: skip
    return {"changed": ", ".join(changed) or "what `subgroup` names",
            **summary(judged, [j.name for j in JUDGEMENTS], settings)}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(JudgementConfig, __doc__, argv)
    try:
        result = judge(config, lambda: engine(config.model, config.engine))
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(verdict(result))
    print(f"{config.out}/judgement.html")


if __name__ == "__main__":
    main()
