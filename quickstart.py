"""The whole path on the embedded model and drawn faces: make quickstart

Each step is one public command with a config from configs/quickstart/; this file only runs them in order, skips what
is done, and keeps the time. Commands of eval run in this process, so that their imports are paid for once. Results:
runs/quickstart/{report.html,summary.json,timings.json}.
"""

import argparse
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OUT = Path("runs/quickstart")
CONFIGS = Path("configs/quickstart")

# Left alone, accelerate gives a process one CPU thread.
LAUNCH = ["-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no",
          "--dynamo_backend", "no", "--num_cpu_threads_per_process", str(os.cpu_count() or 1), "-m"]  # fmt: skip

MODELS = {"base": "tiny", "sft": f"{OUT}/sft", "grpo": f"{OUT}/grpo"}

# Name, command, what it leaves. A step whose result is there is not run again.
STEPS: list[tuple[str, list[str], str]] = [
    ("build", ["-m", "data_builders.build", "--config", f"{CONFIGS}/data.yaml"], "data"),
    ("sft", [*LAUNCH, "facevlm.sft", "--config", f"{CONFIGS}/sft.yaml"], "sft/facevlm.json"),
    ("grpo", [*LAUNCH, "rl.grpo", "--config", f"{CONFIGS}/grpo.yaml"], "grpo/facevlm.json"),
    ("pairs", ["-m", "data_builders.build", "--config", f"{CONFIGS}/pairs.yaml"], "pairs"),
    *((f"eval-{name}",
       ["-m", "eval.run", "--config", f"{CONFIGS}/eval.yaml", f"model={model}", f"out={OUT}/eval-{name}"],
       f"eval-{name}/report.html") for name, model in MODELS.items()),
    *((f"pairs-{name}",
       ["-m", "eval.run", "--config", f"{CONFIGS}/eval.yaml", f"model={model}", f"records={OUT}/pairs",
        f"out={OUT}/pairs-{name}"],
       f"pairs-{name}/report.html") for name, model in MODELS.items()),
    *((f"fairness-{name}",
       ["-m", "eval.fairness", f"{OUT}/eval-{name}", "--config", f"{CONFIGS}/fairness.yaml",
        f"pairs={OUT}/pairs-{name}"],
       f"eval-{name}/fairness/fairness.html") for name in MODELS),
    *((f"faithful-{name}",
       ["-m", "eval.faithful", "--config", f"{CONFIGS}/faithful.yaml", f"model={model}",
        f"predictions={OUT}/eval-{name}", f"out={OUT}/eval-{name}/faithful"],
       f"eval-{name}/faithful/report.html") for name, model in MODELS.items()),
    ("compare",
     ["-m", "eval.compare", *(f"{OUT}/eval-{name}" for name in MODELS), "--names", ",".join(MODELS), "--out",
      f"{OUT}"], "report.html"),
    ("analyze", ["-m", "facevlm.analyze", "--config", f"{CONFIGS}/analyze.yaml"], "faces.jsonl"),
]  # fmt: skip


def fingerprint() -> str:
    """What the results depend on beside the commands: configs and code. Another one means that all is run again."""
    files = sorted(p for room in ("configs/quickstart", "facevlm", "data_builders", "rl", "eval")
                   for p in Path(room).rglob("*") if p.suffix in (".py", ".yaml", ".safetensors"))  # fmt: skip
    return hashlib.sha256(b"".join(str(p).encode() + p.read_bytes() for p in files)).hexdigest()


def here(module: str, *arguments: str) -> str | int | None:
    """Run a command in this process. Returns what it exits with, None or 0 where all is well."""
    try:
        importlib.import_module(module).main(arguments)
    except SystemExit as e:
        return e.code
    return None


def run(name: str, command: list[str]) -> float:
    """Run one step; its output goes to the screen. Returns the seconds it took."""
    print(f"\n== {name}: python {' '.join(command)}", flush=True)
    start = time.monotonic()
    failed = here(*command[1:]) if command[1].startswith("eval.") else \
        subprocess.run([sys.executable, *command], check=False).returncode  # fmt: skip
    if failed:
        raise SystemExit(f"{name} failed ({failed}): see above; `make quickstart` goes on from here")
    return round(time.monotonic() - start, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="remove earlier results first")
    args = parser.parse_args()
    mark, timings_file, now = OUT / "fingerprint", OUT / "timings.json", fingerprint()
    if args.fresh or (mark.is_file() and mark.read_text() != now):
        print("starting afresh" if args.fresh else "code or configs changed since the last run: starting afresh")
        shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True, exist_ok=True)
    mark.write_text(now)
    timings: dict[str, float] = json.loads(timings_file.read_text()) if timings_file.is_file() else {}
    for name, command, result in STEPS:
        if (OUT / result).exists():
            print(f"== {name}: done before")
            continue
        timings[name] = run(name, command)
        timings_file.write_text(json.dumps(timings, indent=2) + "\n")
    show(timings)


BEYOND: dict[str, tuple[str | int, ...]] = {
    "calibration error (ECE)": ("ece",),
    "emotion accuracy, gap by skin tone": ("fairness", "gaps", 0),
    "answers that move with skin tone alone": ("fairness", "counterfactual", "moved", 0),
    "thinking ends on the answer": ("faithfulness", "agreement", "think_answer"),
    "claims that go with their own region alone": ("faithfulness", "swap", "difference"),
    "follows another's thinking": ("faithfulness", "reasoning", "other_follows"),
}
"""What the report says beyond scores, and where summary.json holds it."""


def shown(summary: dict[str, Any], at: tuple[str | int, ...]) -> str:
    """A number of a run's summary with its interval; where nothing could be tested, that."""
    found: Any = summary
    for key in at:
        there = key < len(found) if isinstance(key, int) else key in found
        found = found[key] if there else None
        if found is None:
            return "nothing to test"
    low, high = (found.get("ci95") if isinstance(found, dict) else summary["ci95"].get(at[0])) or (None, None)
    value = found.get("value", found.get("gap")) if isinstance(found, dict) else found
    if value is None:
        return "nothing to test"
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


def show(timings: dict[str, float]) -> None:
    """The table at the end."""
    summary = json.loads((OUT / "summary.json").read_text())
    print(f"\n{'model':8}{'emotion accuracy':>28}{'AU macro-F1':>28}{'parse failures':>16}")
    for name in MODELS:
        row = summary[name]
        cells = []
        for metric in ("emotion_accuracy", "au_macro_f1"):
            low, high = row["ci95"][metric]
            cells.append(f"{row[metric]:.3f} [{low:.3f}, {high:.3f}]")
        print(f"{name:8}{cells[0]:>28}{cells[1]:>28}{row['parse_failure_rate']:>16.3f}")
    print(f"n = {summary['grpo']['n']} faces of subjects that no stage has seen; 95 % intervals, clustered by subject")
    print(f"\n{'':42}" + "".join(f"{name:>22}" for name in MODELS))
    for title, at in BEYOND.items():
        print(f"{title:42}" + "".join(f"{shown(summary[name], at):>22}" for name in MODELS))
    print("seconds: " + ", ".join(f"{k} {v}" for k, v in timings.items()) + f"; together {sum(timings.values()):.0f}")
    print(f"look at {OUT / 'report.html'}")


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main()
