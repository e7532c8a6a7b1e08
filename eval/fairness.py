"""A finished run by subgroup: every metric by gender, age band, skin tone …, and how far the subgroups are apart.

    python -m eval.fairness runs/eval/grpo --by gender,age --out runs/eval/grpo/fairness

Reads the answers of `eval.run` and the records they are about; no model is asked. Writes fairness.json, the same as
tables in subgroups.parquet and gaps.parquet, and fairness.html. What the numbers mean and do not: docs/fairness.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from eval.compare import protocol_of, read_run
from eval.frame.benchmark import Protocol, face_of
from eval.frame.beside import answers_digest, model_of
from eval.frame.folders import read_together
from eval.frame.predictions import Key, Prediction
from eval.groups import counterfactual
from eval.groups.composition import caveats
from eval.groups.disparity import LEAST, Batch, Settings, Table, corrected, disparities
from eval.groups.fairness_page import verdict, write_page
from eval.groups.rates import class_batches, metric_batches, tested_metrics
from eval.groups.subgroups import AGES, Factor, carried, factors
from eval.pages.figures import Run
from facevlm.config import ConfigError, doc, load, write_resolved
from facevlm.record import FaceRecord, whole_file


@dataclass(frozen=True)
class FairnessConfig:
    runs: list[str] = doc("folder of one finished run; may stand alone on the command line")
    out: str = doc("folder to write to; empty = fairness in the run's folder", default="")
    by: str = doc("attributes of the records to compare by, with commas between; empty = gender, age, race and skin "
                  "tone as far as records carry them", default="")  # fmt: skip
    records: str = doc("folder of the records, where it is not where the run found it", default="")
    pairs: str = doc("folder of a finished run of the same model over counterfactual records: these say what moves "
                     "where only the trait changes; empty = the run itself, if its records are such",
                     default="")  # fmt: skip
    ages: list[int] = doc("lower ends of the age bands in years", default_factory=lambda: list(AGES))
    merge: dict[str, dict[str, list[str | int]]] = doc("values to take together: {skin_tone: {light: [1, 2, 3], dark: "
                                                       "[5, 6, 7]}}", default_factory=dict)  # fmt: skip
    crossed: bool = doc("also every two attributes crossed", default=True)
    least: int = doc("faces below which a subgroup is named without a number", default=LEAST)
    bootstrap: int = doc("resamples for intervals and p values; 0 = none", default=2000)
    seed: int = doc("of the resamples", default=0)

    def __post_init__(self) -> None:
        if len(self.runs) != 1:
            raise ConfigError(f"{len(self.runs)} runs given; give one, and call this once for each")
        if self.least < 1 or self.bootstrap < 0:
            raise ConfigError(f"least={self.least}, bootstrap={self.bootstrap}: they start at 1 and at 0")
        if not self.ages or self.ages != sorted(set(self.ages)):
            raise ConfigError(f"ages={self.ages}: give lower ends in years, each greater than the one before")


def names(by: str) -> list[str]:
    """The attributes of a list with commas."""
    return [name.strip() for name in by.split(",") if name.strip()]


def records_of(folder: Path, elsewhere: str = "") -> dict[Key, FaceRecord]:
    """The records that a run asked about, by source and id.

    Raises:
        ConfigError: they are no longer there.
    """
    where = elsewhere or str(json.loads((folder / "run.json").read_text())["config"]["records"])
    try:
        found = read_together(where).records
    except (FileNotFoundError, ValueError) as e:
        raise ConfigError(f"the records of {folder} cannot be read: {e}; say where they are with records=") from e
    return {(record.source, record.id): record for record in found}


def matched(rows: Sequence[Prediction], records: Mapping[Key, FaceRecord]) -> list[FaceRecord]:
    """The record of each row.

    Raises:
        ConfigError: a row is about none of them.
    """
    keys = [(row.source, face_of(row.id)) for row in rows]
    if missing := [key for key in keys if key not in records]:
        raise ConfigError(f"{len(missing)} of {len(keys)} answers are about no record, e.g. {missing[0][1]} of "
                          f"{missing[0][0]}: records were built anew; give those of the run as records=")  # fmt: skip
    return [records[key] for key in keys]


def _all(batches: Sequence[Batch], found: Sequence[Factor], settings: Settings) -> Table:
    tables = [disparities(batch, factor, settings) for factor in found for batch in batches]
    return Table([row for one in tables for row in one.subgroups], [gap for one in tables for gap in one.gaps])


def untested(rows: Sequence[Prediction]) -> str | None:
    """Why there is nothing to compare: no answer can be read, and every subgroup is wrong alike; None if not so."""
    shown = [row for row in rows if row.error is None]
    if any(row.value is not None or row.named_aus is not None for row in shown):
        return None
    return f"none of the {len(shown)} answers can be read"


def measure(rows: Sequence[Prediction], protocol: Protocol, found: Sequence[Factor],
            settings: Settings) -> dict[str, Any]:  # fmt: skip
    """Metrics and class rates by subgroup, JSON-able: `subgroups`, `gaps`, `classes`, `class_gaps`; or why `untested`.

    The gaps of the headline metrics are one family of tests, those of all classes and AUs another (Holm 1979). Of
    answers that nobody can read there are none: equal zeros would look like fairness.
    """
    if why := untested(rows):
        return {"untested": why, "tested": [], "tests": 0, "class_tests": 0, "smallest": None, "not_stated": {},
                "subgroups": [], "gaps": [], "classes": [], "class_gaps": [], "caveats": []}  # fmt: skip
    whole = _all(metric_batches(rows, protocol), found, settings)
    # Crossed factors would make hundreds of tests on few faces each.
    each = _all(class_batches(rows, protocol), [factor for factor in found if not factor.crossed], settings)
    tested = tested_metrics(protocol)
    tests = corrected(whole.gaps, tested)
    class_tests = corrected(each.gaps, [gap["measure"] for gap in each.gaps])
    sizes = [(n, factor.name, value) for factor in found for value in factor.order
             if (n := sum(x == value and row.error is None for x, row in zip(factor.values, rows, strict=True)))]
    smallest = min(sizes, default=None)
    return {
        "untested": None, "tested": tested, "tests": tests, "class_tests": class_tests,
        "smallest": smallest and dict(zip(("n", "factor", "subgroup"), smallest, strict=True)),
        "not_stated": {factor.name: factor.missing for factor in found if factor.missing},
        "subgroups": whole.subgroups, "gaps": whole.gaps, "classes": each.subgroups, "class_gaps": each.gaps,
        "caveats": [*caveats(rows, found, settings.least), *_resolution(settings, tests, class_tests)],
    }  # fmt: skip


def _resolution(settings: Settings, *families: int) -> list[str]:
    most = max(families)
    if not settings.repeats or (settings.repeats + 1) * 0.05 > most:
        return []
    return [f"{settings.repeats} resamples cannot show a p below {most / (settings.repeats + 1):.2g} after correcting "
            f"for {most} tests: raise bootstrap"]  # fmt: skip


class Groups(NamedTuple):
    """The run whose faces come in groups that differ in one trait, with their records."""

    rows: Sequence[Prediction]
    records: Mapping[Key, FaceRecord]


def pairs_of(folder: Path, other: Path) -> Groups:
    """The answers of `other`, a run of the same model as `folder`.

    Raises:
        ConfigError: it is not finished, is of another model, or its records are not there.
    """
    run = read_run(other, other.name)
    if model_of(folder) != model_of(other):
        raise ConfigError(f"pairs={other} is a run of another model than {folder}, or of other weights: run it anew")
    return Groups(run.rows, records_of(other))


def assess(run: Run, protocol: Protocol, records: Mapping[Key, FaceRecord], config: FairnessConfig,
           apart: Groups | None = None) -> dict[str, Any]:  # fmt: skip
    """All that fairness.json holds.

    Args:
        apart: where the counterfactual groups are those of another run.

    Raises:
        ConfigError: the records carry nothing to compare by, and are no counterfactual groups.
    """
    settings = Settings(config.least, config.bootstrap, config.seed)
    faces = matched(run.rows, records)
    groups = apart or Groups(run.rows, records)
    pairs = counterfactual.probe(groups.rows, groups.records, config.bootstrap, config.seed)
    if apart is not None and pairs is None:
        raise ConfigError(f"the records of pairs={config.pairs} are in no groups: build them as "
                          "configs/data/counterfactual.yaml does")  # fmt: skip
    if not names(config.by) and not carried(faces) and pairs is None:
        there = sorted({name for record in faces for name in record.attributes})
        raise ConfigError(f"the records carry neither gender, age, age_group, race nor skin_tone; they carry "
                          f"{', '.join(there) or 'no attributes'}: build them with such labels, or name some with "
                          "by=")  # fmt: skip
    found = factors(faces, names(config.by), config.ages, config.merge, config.crossed)
    kept = ("benchmark", "protocol", "model", "mode", "task", "reader", "engine", "n", "n_subjects", "ci95_by")
    return {
        "run": run.name, **{key: run.summary.get(key) for key in kept},
        "by": [factor.name for factor in found], "least": config.least, "bootstrap": config.bootstrap,
        **measure(run.rows, protocol, found, settings), "counterfactual": pairs,
        "run_caveats": list(run.summary.get("caveats", ())),
    }  # fmt: skip


_SUBGROUPS = pa.schema([("factor", pa.string()), ("measure", pa.string()), ("subgroup", pa.string()),
                        ("n", pa.int64()), ("people", pa.int64()), ("value", pa.float64()),
                        ("ci95", pa.list_(pa.float64())), ("why", pa.string())])  # fmt: skip
_GAPS = pa.schema([("factor", pa.string()), ("measure", pa.string()), ("overall", pa.float64()),
                   ("highest", pa.string()), ("lowest", pa.string()),
                   ("gap", pa.float64()), ("ci95", pa.list_(pa.float64())), ("worst", pa.string()),
                   ("worst_minus_overall", pa.float64()), ("worst_ci95", pa.list_(pa.float64())), ("p", pa.float64()),
                   ("p_holm", pa.float64()), ("compared", pa.int64()), ("left_out", pa.list_(pa.string())),
                   ("why", pa.string())])  # fmt: skip


def fairness(config: FairnessConfig) -> dict[str, Any]:
    """Read, compare, write. Returns what fairness.json holds.

    Raises:
        ConfigError: the run is not finished, its records are not there, or see `assess`.
    """
    folder = Path(config.runs[0])
    run = read_run(folder, folder.name)
    apart = pairs_of(folder, Path(config.pairs)) if config.pairs else None
    result = assess(run, protocol_of(folder), records_of(folder, config.records), config, apart)
    result["answers"] = answers_digest(folder)
    out = Path(config.out) if config.out else folder / "fairness"
    out.mkdir(parents=True, exist_ok=True)
    write_resolved(config, out)
    for name, schema, rows in (("subgroups", _SUBGROUPS, [*result["subgroups"], *result["classes"]]),
                               ("gaps", _GAPS, [*result["gaps"], *result["class_gaps"]])):  # fmt: skip
        with whole_file(out / f"{name}.parquet") as draft:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), draft, compression="zstd")
    with whole_file(out / "fairness.json") as draft:
        draft.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_page(out / "fairness.html", result)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(FairnessConfig, __doc__, argv, inputs="runs")
    try:
        result = fairness(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(verdict(result))
    print("".join(f"note: {caveat}\n" for caveat in result["caveats"]), end="")
    print(f"{config.out or Path(config.runs[0], 'fairness')}/fairness.html")


if __name__ == "__main__":
    main()
