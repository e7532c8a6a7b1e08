"""What other commands found about a finished run: `fairness.json` and the summary of `eval.faithful`, in its folder.

    runs/eval/grpo/{summary.json, …, fairness/fairness.json, faithful/summary.json}

What belongs to other answers or other weights than the run is not taken, and that is said.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FAIRNESS, FAITHFUL = Path("fairness", "fairness.html"), Path("faithful", "report.html")
"""The pages, from the folder of the run; what is read lies beside them."""


class Beside(NamedTuple):
    """What there is about one run; None = nothing, or nothing of these answers."""

    fairness: Mapping[str, Any] | None = None
    faithful: Mapping[str, Any] | None = None
    links: Mapping[str, str] = {}
    """By "fairness" and "faithful", where the page lies, from the page that is written."""
    stale: tuple[str, ...] = ()
    """What was found and not taken, in words."""


def answers_digest(folder: Path) -> str:
    """What tells the answers of a run from those of another."""
    return hashlib.blake2b((folder / "predictions.jsonl").read_bytes(), digest_size=8).hexdigest()


def _read(path: Path) -> Mapping[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None


def model_of(folder: Path) -> object:
    """What tells the model that gave the answers in a folder, its weights included, from another."""
    facts = json.loads((folder / "run.json").read_text()).get("fingerprint", {})
    return facts.get("model"), facts.get("weights")


def beside(folder: Path, page: Path) -> Beside:
    """What lies in the folder of a run.

    Args:
        page: the folder that links start from.
    """
    fairness = _read(folder / FAIRNESS.with_name("fairness.json"))
    faithful = _read(folder / FAITHFUL.with_name("summary.json"))
    stale = []
    if fairness is not None and fairness.get("answers") != answers_digest(folder):
        fairness = None
        stale.append(f"{folder / FAIRNESS.parent} is about other answers than the run has now: run eval.fairness anew")
    if faithful is not None and model_of(folder / FAITHFUL.parent) != model_of(folder):
        faithful = None
        stale.append(f"{folder / FAITHFUL.parent} is about another model than the run: run eval.faithful anew")
    found = {"fairness": (fairness, FAIRNESS), "faithful": (faithful, FAITHFUL)}
    links = {name: Path(os.path.relpath(folder / at, page)).as_posix()
             for name, (there, at) in found.items() if there is not None and (folder / at).is_file()}  # fmt: skip
    return Beside(fairness, faithful, links, tuple(stale))


def in_short(found: Beside) -> dict[str, Any]:
    """What a summary of several runs keeps: the gaps tested and what moves, and the numbers of each probe."""
    short: dict[str, Any] = {}
    if (fair := found.fairness) is not None:
        kept = ("untested", "by", "tests", "smallest", "counterfactual")
        short["fairness"] = {key: fair[key] for key in kept}
        short["fairness"]["gaps"] = [gap for gap in fair["gaps"] if gap["measure"] in fair["tested"]]
    if (faithful := found.faithful) is not None:
        short["faithfulness"] = {
            name: {key: number for key, number in numbers.items() if isinstance(number, Mapping) and "value" in number}
            for name, numbers in faithful["probes"].items()
        }
    return short
