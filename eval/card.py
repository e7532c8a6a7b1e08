"""A model card in the form of "Model Cards for Model Reporting", from the files of training and of finished runs.

    python -m eval.card model=runs/grpo runs=[runs/eval/rafdb,runs/eval/disfa] out=MODEL_CARD.md stated.licence=MIT

Model details, training data and their chain come from the files that training leaves; metrics, factors and analyses,
unitary and intersectional, from the runs; leakage is looked for. What no file tells and nobody states is "not stated".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import leakage
from eval.cards import text as card_text
from eval.cards.tables import analyses, judgements, results, table
from eval.compare import protocol_of, read_run
from eval.fairness import FairnessConfig, assess, matched, records_of
from eval.groups.subgroups import carried
from eval.leaks.lineage import Stage, lineage, run_of
from eval.leaks.seen import faces_of, learned
from eval.pages.figures import METRICS, Run
from facevlm.checkpoint import folder, pixel_budget, read_facts
from facevlm.config import ConfigError, doc, load, read_yaml, versions
from facevlm.record import whole_file

NOT_STATED = "not stated"


@dataclass(frozen=True)
class CardConfig:
    model: str = doc("folder of the model")
    runs: list[str] = doc("folders of its finished runs of eval.run", default_factory=list)
    out: str = doc("file to write", default="MODEL_CARD.md")
    judgements: list[str] = doc("folders of its runs of eval.judgement", default_factory=list)
    stated: dict[str, str] = doc("what no file tells: " + ", ".join(card_text.STATED), default_factory=dict)
    by: str = doc("attributes to compare by, as eval.fairness takes them; empty = those known", default="")
    least: int = doc("faces below which a subgroup is named without a number", default=20)
    bootstrap: int = doc("resamples for intervals and p values", default=2000)
    seed: int = doc("of the resamples", default=0)

    def __post_init__(self) -> None:
        if unknown := sorted(self.stated.keys() - card_text.STATED.keys()):
            raise ConfigError(f"stated.{', stated.'.join(unknown)}: unknown; known: {', '.join(card_text.STATED)}")
        names = [Path(run).name for run in self.runs]
        if len(set(names)) < len(names):
            raise ConfigError(f"runs {', '.join(self.runs)}: two folders of one name; a card calls them by it")


def _same(one: str, other: str) -> bool:
    return run_of(one).resolve() == run_of(other).resolve() and folder(one).name == folder(other).name


def scored(config: CardConfig) -> list[Run]:
    """The runs, each of this model.

    Raises:
        ConfigError: one is not finished, or of another model.
    """
    found = []
    for name in config.runs:
        run = read_run(Path(name), Path(name).name)
        if not _same(str(run.summary["model"]), config.model):
            raise ConfigError(f"{name} scored {run.summary['model']}, not {config.model}: a card is about one model")
        found.append(run)
    return found


def _changed(config: CardConfig) -> list[str]:
    """Runs that scored other weights than those that lie there now."""
    now = [[path.name, path.stat().st_size, path.stat().st_mtime_ns]
           for path in sorted(folder(config.model).glob("*.safetensors"))]  # fmt: skip
    told = []
    for name in config.runs:
        before = json.loads((Path(name) / "run.json").read_text())["fingerprint"].get("weights")
        if before is not None and before != now:
            told.append(f"{name} scored weights that are not those in {config.model} now (name, size or time differ): "
                        "run it again, or say which are published")  # fmt: skip
    return told


# -- the sections, each as Markdown


def _details(config: CardConfig, stages: Sequence[Stage]) -> str:
    facts = read_facts(config.model)
    chain = " <- ".join(f"`{stage.model}` ({stage.kind})" for stage in stages)
    file = run_of(config.model) / "config.yaml"
    trained: dict[str, Any] = read_yaml(file) if file.is_file() else {}
    used = trained.get("config", {})
    settings = ", ".join(f"{key} {used[key]}" for key in ("freeze", "lora", "quant", "seed")
                         if used.get(key) is not None)  # fmt: skip
    made = ", ".join(f"{name} {version}" for name, version in trained.get("versions", {}).items())
    rows = [(meaning, config.stated.get(key)) for key, meaning in card_text.STATED.items()
            if key not in ("primary_use", "users", "consent", "decisions")]  # fmt: skip
    rows += [("model type", "vision-language model, answers in text"), ("stage", facts.get("stage")), ("chain", chain),
             ("tasks", ", ".join(facts.get("tasks", facts.get("modes", []))) or None),
             ("labels on offer", ", ".join(facts.get("labels") or []) or None),
             ("pixel budget", f"{pixel_budget(config.model)} pixels a picture"), ("training settings", settings),
             ("trained with", made)]  # fmt: skip
    return table(("", ""), [(name, value or NOT_STATED) for name, value in rows])


def _use(config: CardConfig) -> str:
    said = "\n".join(f"- {card_text.STATED[key]}: {config.stated.get(key, NOT_STATED)}"
                     for key in ("primary_use", "users", "decisions"))  # fmt: skip
    return f"{said}\n\n{card_text.USE}"


def _factors(assessed: Mapping[str, Mapping[str, Any] | None], records: Mapping[str, Sequence[Any]]) -> str:
    lines = []
    for name, found in assessed.items():
        known = ", ".join(carried(records[name])) or "none: nothing could be compared"
        looked = ", ".join(found["by"]) if found and found["by"] else "none"
        lines.append(f"- `{name}`: attributes that the records carry: {known}; evaluated: {looked}")
    return card_text.FACTORS + "\n\n" + ("\n".join(lines) or f"Evaluation factors: {NOT_STATED}; no run was given.")


def _metrics(runs: Sequence[Run]) -> str:
    names = [name for name in METRICS if any(run.summary.get(name) is not None for run in runs)]
    lines = [f"- {METRICS[name].title}: {METRICS[name].note}" for name in names]
    read = "; ".join(sorted({f"reader {run.summary['reader']}, mode {run.summary['mode']}" for run in runs}))
    how = f"\n\nAnswers were read and asked so: {read}. An answer that cannot be read is wrong. No threshold is " \
        "tuned on a test." if runs else ""  # fmt: skip
    return ("\n".join(lines) or f"{NOT_STATED}: no run was given.") + how


def _evaluation_data(runs: Sequence[Run]) -> str:
    rows = [(run.name, run.summary["benchmark"], f"{run.summary['protocol']}: {run.summary['doc']}",
             run.summary["source"], f"{run.summary['n']} faces of {run.summary['n_subjects'] or 'unknown'} people",
             run.summary["split"] or "as the protocol says") for run in runs]  # fmt: skip
    head = ("run", "benchmark", "protocol", "defined by", "size", "split")
    return table(head, rows) if rows else f"{NOT_STATED}: no run was given."


def _training_data(config: CardConfig, stages: Sequence[Stage]) -> str:
    rows = []
    for stage in stages:
        size: object = NOT_STATED
        if stage.kind == "embedded":
            size = "drawn faces made by facevlm.tiny.make"
        elif stage.unknown is None:
            try:
                size = len(learned(stage).keys)
            except ConfigError as e:
                size = f"{NOT_STATED}: {e}"
        records = f"{stage.records} ({stage.split})" if stage.records else NOT_STATED
        rows.append((stage.model, stage.kind, records, size, stage.unknown or ""))
    consent = config.stated.get("consent", NOT_STATED)
    shown = table(("model", "stage", "records", "faces", "note"), rows)
    return f"{shown}\n\n{card_text.STATED['consent']}: {consent}"


def _ethics(config: CardConfig) -> str:
    folders = [f"### Judgements that no face can show: {Path(name).name}\n\n{judgements(Path(name), config.model)}"
               for name in config.judgements]  # fmt: skip
    return "\n\n".join([card_text.ETHICS, *folders])


def _caveats(config: CardConfig, runs: Sequence[Run], leaks: Sequence[str]) -> str:
    said = [*leaks, *_changed(config)]
    said += [f"{run.name}: {caveat}" for run in runs for caveat in run.summary.get("caveats", ())]
    return "\n".join([card_text.CAVEATS, *(f"- {text}" for text in dict.fromkeys(said))])


def _leaks(model: str, run: Path) -> list[str]:
    """What a run's test and the training share, and what of it is not known."""
    asked = json.loads((run / "run.json").read_text())["config"]
    split = asked["split"] if asked["split"] is not None else protocol_of(run).split
    try:
        found = leakage.check(model, faces_of(asked["records"], split))
    except ConfigError as e:
        return [f"{run.name}: leakage was not checked: {e}"]
    told = [f"{run.name}: LEAK: {text}" for text in found["leaks"]]
    told += [f"{run.name}: leakage not known: {text}" for text in found["unknown"]]
    return told or [f"{run.name}: no leakage was found between its test faces and the training records"]


def card(config: CardConfig) -> str:
    """The card as Markdown.

    Raises:
        ConfigError: a run is not finished or is of another model, or its records are not there.
    """
    runs, stages = scored(config), lineage(config.model)
    assessed: dict[str, Mapping[str, Any] | None] = {}
    records: dict[str, Sequence[Any]] = {}
    for run, name in zip(runs, config.runs, strict=True):
        keyed = records_of(Path(name))
        records[run.name] = matched(run.rows, keyed)
        settings = FairnessConfig([name], by=config.by, least=config.least, bootstrap=config.bootstrap,
                                  seed=config.seed)  # fmt: skip
        try:
            assessed[run.name] = assess(run, protocol_of(Path(name)), keyed, settings)
        except ConfigError:
            if config.by:
                raise
            assessed[run.name] = None
    leaks = [text for name in config.runs for text in _leaks(config.model, Path(name))]
    quantities = "\n\n".join(f"### {run.name}\n\n{results(run)}\n\n{analyses(assessed[run.name])}" for run in runs)
    sections = {
        "Model details": _details(config, stages), "Intended use": _use(config),
        "Factors": _factors(assessed, records), "Metrics": _metrics(runs),
        "Evaluation data": _evaluation_data(runs), "Training data": _training_data(config, stages),
        "Quantitative analyses": quantities or f"{NOT_STATED}: no run was given.",
        "Ethical considerations": _ethics(config), "Caveats and recommendations": _caveats(config, runs, leaks),
    }  # fmt: skip
    made = ", ".join(f"{key} {value}" for key, value in versions().items() if key in ("facevlm", "commit"))
    head = f"# Model card: {run_of(config.model).resolve().name}\n\n" \
        f"In the form of Mitchell et al. 2019, \"Model Cards for Model Reporting\"; made by eval.card ({made}).\n\n"
    return head + "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items()) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(CardConfig, __doc__, argv)
    try:
        text = card(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    with whole_file(Path(config.out)) as draft:
        draft.write_text(text, encoding="utf-8")
    print(config.out)


if __name__ == "__main__":
    main()
