"""Was a checkpoint chosen on the test? Runs beside one another that score several checkpoints of one training run.

    runs/eval/sft-100, runs/eval/sft-200: checkpoint-100 and checkpoint-200 of runs/sft, both scored on split test

The best of several is no fair number where the test itself was used to pick it: choose on `val`, test once.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.leaks.lineage import run_of


def _facts(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def scored_checkpoints(out: Path, model: str, split: str | None, records: str) -> list[str]:
    """The checkpoints of the model's training run that folders beside `out` scored on one test, this one included.

    Args:
        out: the folder of a run of `eval.run`.
        split: which split was scored.
        records: digest of the records, as `run.json` has it.
    """
    found = {str(model)}
    for file in sorted(out.resolve().parent.glob("*/run.json")):
        facts = _facts(file)
        other, config = facts.get("fingerprint", {}), facts.get("config", {})
        name = config.get("model")
        if (isinstance(name, str) and other.get("records") == records and config.get("split") == split
                and run_of(name).resolve() == run_of(model).resolve()):  # fmt: skip
            found.add(name)
    return sorted(found)


def caveats(out: Path, model: str, split: str | None, tested: str | None, records: str) -> list[str]:
    """What must be said where several checkpoints of one training run met one test set; nothing where one did.

    Args:
        split: of the run's config; `tested`: what split the protocol tests where that is null.
    """
    if (split or tested) in ("val", "train"):
        return []
    found = scored_checkpoints(out, model, split, records)
    if len(found) < 2:
        return []
    return [f"{len(found)} checkpoints of {run_of(model)} were scored on this test ({', '.join(found)}): the best of "
            "them is not a fair number; choose on val"]  # fmt: skip
