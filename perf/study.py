"""What one part of GRPO is worth: the same run with and without it, over seeds.

    python perf/study.py configs/studies/au-reward.yaml

A study names arms, each the overrides that make it differ from one GRPO config. For each seed: one short SFT run,
which all arms of all studies start from, then a GRPO run an arm, scored on the held-out subjects; a study with `at`
also scores the checkpoints of these steps, one with `pool` trains on records picked by how often SFT is right
about them. What is done is not done again, so that studies share their arms.
Intervals are Student's t over the seeds, differences paired by seed: they hold for another draw of SFT, order and
samples, on these test faces. One thread a run. Last line: JSON.
"""

import argparse
import hashlib
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from scipy.stats import t as student

from facevlm.record import RecordWriter, read, whole_folder, write_meta
from facevlm.vocab import BASIC_EMOTIONS
from rl.rewards.consistency import consistency
from rl.select import TABLE

HERE = Path("runs/studies")
CONFIGS = Path("configs/quickstart")
LAUNCH = ["accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no",
          "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1", "-m"]  # fmt: skip
MEASURES = ("emotion accuracy", "AU macro-F1", "misses the form", "AUs named", "thinking agrees", "rollouts")


def run(*command: str) -> None:
    """A public command, its output into the log of the studies."""
    with (HERE / "log.txt").open("a") as log:
        log.write(f"\n== {' '.join(command)}\n")
        log.flush()
        done = subprocess.run([sys.executable, "-m", *command], stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed (exit {done.returncode}): see {HERE / 'log.txt'}")


def once(folder: Path, mark: str, *command: str) -> None:
    """Run a command unless what it leaves is there; what an interrupted one left is removed first."""
    if not (folder / mark).exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(*command)


def score(run: Path, step: int | None) -> Path:
    """The folder of a run's answers to the held-out subjects, at its end or after a step."""
    model = run if step is None else run / f"checkpoint-{step}"
    out = run.with_name(f"{run.name}-eval" if step is None else f"{run.name}-eval-{step}")
    once(out, "report.html", "eval.run", "--config", f"{CONFIGS}/eval.yaml", f"records={HERE}/data",
         f"model={model}", f"out={out}", "bootstrap=0", "gallery=0")  # fmt: skip
    return out


def named(*facts: Any) -> str:
    """A short name of all that makes a run what it is."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:10]


def start(seed: int, overrides: list[str]) -> Path:
    """The SFT run of a seed, made once for all studies that want the same."""
    once(HERE / "data", "dataset.json", "data_builders.build", "--config", f"{CONFIGS}/data.yaml", f"out={HERE}/data",
         "options.first_subject=1000")  # other people than the quickstart's, so that its settings may be chosen here
    out = HERE / f"sft-{named(yaml.safe_load((CONFIGS / 'sft.yaml').read_text()), overrides, seed)}"
    once(out, "facevlm.json", *LAUNCH, "facevlm.sft", "--config", f"{CONFIGS}/sft.yaml", f"records={HERE}/data",
         f"out={out}", f"seed={seed}", *overrides)  # fmt: skip
    return out


def arm(config: str, model: Path, overrides: list[str], seed: int, records: Path) -> Path:
    """The GRPO run of an arm and seed."""
    out = HERE / f"grpo-{named(yaml.safe_load(Path(config).read_text()), model.name, overrides, seed, records.name)}"
    once(out, "facevlm.json", *LAUNCH, "rl.grpo", "--config", config, f"model={model}",
         f"records={records}", f"out={out}", f"seed={seed}", *overrides)  # fmt: skip
    return out


def pool(sft: Path, seed: int, wanted: dict[str, Any]) -> Path:
    """A records folder for GRPO with as many records as wanted of each kind, by what the SFT model answers.

    Args:
        wanted: `spread`, `right`, `wrong`: records answered right sometimes (1/4 to 3/4), always, never; `asked` are
            asked about, `rollouts` times each at `temperature`, which should be that of GRPO.
    """
    out = HERE / f"pool-{named(sft.name, wanted, seed)}"
    if out.exists():
        return out
    asked = out.with_name(f"{out.name}-asked")
    once(asked, TABLE, "rl.select", "--config", "configs/rl/select.yaml", f"model={sft}", f"records={HERE}/data",
         f"out={asked}", f"limit={wanted['asked']}", f"rollouts={wanted['rollouts']}", f"seed={seed}",
         f"temperature={wanted['temperature']}", "band=[0.25,0.75]", "max_new_tokens=80")  # fmt: skip
    lines = pq.read_table(asked / TABLE).to_pylist()
    kinds = {"spread": "kept", "right": "always right", "wrong": "never right"}
    chosen: set[str] = set()
    for kind, verdict in kinds.items():
        found = [line["record_id"] for line in lines if line["verdict"] == verdict]
        if len(found) < wanted[kind]:
            raise SystemExit(f"{len(found)} records of {len(lines)} are {verdict}; the study wants {wanted[kind]}")
        chosen |= set(random.Random(seed).sample(found, wanted[kind]))
    records = read(HERE / "data", "train")
    with whole_folder(out) as draft:
        writer = RecordWriter(draft)
        writer.add(*(record for record in records.records if record.id in chosen))
        writer.flush()
        write_meta(draft, records.root, records=len(chosen), selected_from="data", by=sft.name)
    return out


def measure(run: Path, step: int | None = None) -> dict[str, float]:
    """What a model does on the held-out subjects, by measure.

    `thinking agrees` is the reward `consistency`, over answers whose form is right; `rollouts` are all completions
    that were sampled up to then.
    """
    folder = score(run, step)
    summary = json.loads((folder / "summary.json").read_text())
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    read = [row for row in rows if not row["faults"]]
    agree = consistency([[{"content": row["text"]}] for row in read], parts=[row["parts"] for row in read],
                        labels=[BASIC_EMOTIONS] * len(read), task=["explain"] * len(read))  # fmt: skip
    file = run / "health" / "rounds.jsonl"
    rounds = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    asked = [line["n"] for line in rounds if step is None or line["step"] <= step]
    return {"emotion accuracy": summary["emotion_accuracy"], "AU macro-F1": summary["au_macro_f1"],
            "misses the form": summary["parse_failure_rate"],
            "AUs named": statistics.fmean(len(row["aus"] or ()) for row in read) if read else math.nan,
            "thinking agrees": statistics.fmean(x for x in agree if x is not None) if read else math.nan,
            "rollouts": float(sum(asked))}  # fmt: skip


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval over seeds; nan ends for one seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="file of configs/studies")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to n-1")
    args = parser.parse_args()
    study: dict[str, Any] = yaml.safe_load(args.study.read_text())
    HERE.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in range(args.seeds):
        sft = start(seed, study.get("sft", []))
        found["after SFT"].append(measure(sft))
        records = pool(sft, seed, study["pool"]) if "pool" in study else HERE / "data"
        for name, overrides in study["arms"].items():
            trained = arm(study["grpo"], sft, [*study.get("all", ()), *overrides], seed, records)
            found[name].append(measure(trained))
            print(f"seed {seed}, {name}: {found[name][-1]}", flush=True)
            for step in study.get("at", ()):
                found[f"{name}, step {step}"].append(measure(trained, step))
    print(f"\n{study['question']}\n")
    show(found)
    print(json.dumps({"study": args.study.stem, "seeds": args.seeds, "arms": found}))


def show(found: dict[str, list[dict[str, float]]]) -> None:
    """Two tables in Markdown: the arms, and each arm against the first."""
    arms = list(found)
    print("| mean of seeds | " + " | ".join(MEASURES) + " |\n|---|" + "---|" * len(MEASURES))
    for name in arms:
        cells = [f"{statistics.fmean(row[m] for row in found[name]):.3f}" for m in MEASURES]
        print(f"| {name} | " + " | ".join(cells) + " |")
    first = arms[1]
    print(f"\n| minus {first!r}, 95 % | " + " | ".join(MEASURES) + " |\n|---|" + "---|" * len(MEASURES))
    for name in (name for name in arms if name != first):
        cells = []
        for m in MEASURES:
            mean, low, high = interval([b[m] - a[m] for a, b in zip(found[first], found[name], strict=True)])
            cells.append(f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
