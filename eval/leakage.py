"""Was the model trained on what it is tested on? Its own training records, stage by stage, against a test set.

    python -m eval.leakage --model runs/grpo --records data/rafdb split=test

Compares ids, people, picture files and, by the hashes that builds leave, near-identical pictures; goes back through
SFT, GRPO and DPO to the base. Ends with code 1 where something is found, so that a script stops. `eval.run` does the
cheap part (ids, people, files) by itself. What a base from elsewhere was trained on cannot be known: that is said.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.leaks.hashes import MOST, SAME, nearest
from eval.leaks.lineage import lineage
from eval.leaks.seen import Faces, codes, faces_in, faces_of, learned
from facevlm.config import ConfigError, doc, load, write_resolved
from facevlm.record import RecordSet, whole_file
from facevlm.tiny.population import SOURCE_SUBJECTS


@dataclass(frozen=True)
class LeakageConfig:
    model: str = doc("folder of a trained model, or of one of its checkpoints")
    records: str = doc("folder of the records to test on; several with commas between")
    split: str | None = doc("which split of them is the test; null = all", default="test")
    distance: int = doc(f"bits of 256 within which two pictures are the same, at most {MOST}", default=SAME)
    out: str = doc("folder to write leakage.json to; empty = none", default="")

    def __post_init__(self) -> None:
        if not 0 <= self.distance <= MOST:
            raise ConfigError(f"distance={self.distance}: it lies within 0 to {MOST}")


def shared(test: Faces, train: Faces) -> dict[str, Any]:
    """What two sets share, without looking at pictures: how many test faces, and which to begin with."""
    keys, people, files = set(train.keys), {who for who in train.people if who is not None}, set(train.files)
    ids = [key[1] for key in test.keys if key in keys]
    persons = sorted({str(who[1]) for who in test.people if who is not None and who in people})
    same = [key[1] for key, file in zip(test.keys, test.files, strict=True) if file in files]
    known = any(who is not None for who in test.people) and any(who is not None for who in train.people)
    return {
        "ids": len(ids), "people": len(persons) if known else None,
        "faces_of_these_people": sum(who in people for who in test.people if who is not None) if known else None,
        "files": len(same), "examples": {"ids": ids[:5], "people": persons[:5], "files": same[:5]},
    }  # fmt: skip


def alike(test: Faces, train: Faces, distance: int) -> dict[str, Any]:
    """Test pictures that are near-identical to one that was trained on; None, with why, where it cannot be told."""
    try:
        (names, ours), (others, theirs) = codes(test), codes(train)
    except ConfigError as e:
        return {"near_duplicates": None, "why": str(e)}
    found = nearest(ours, theirs, distance)
    hits = np.flatnonzero(found.place >= 0).tolist()
    examples = [f"{names[i]} and {others[found.place[i]]}, {found.bits[i]} bits apart" for i in hits[:5]]
    return {"near_duplicates": len(hits), "hashed": [len(names), len(others)], "near_examples": examples}


def _embedded(test: Faces) -> dict[str, Any]:
    """The embedded model saw drawn faces of people that the source `synthetic` never draws."""
    own = [who for who in test.people if who is None or who[0] != "synthetic"
           or not (who[1].removeprefix("s").isdecimal() and int(who[1].removeprefix("s")) in SOURCE_SUBJECTS)]
    why = None if not own else "the embedded model saw drawn faces alone; these are none of the source synthetic"
    return {"ids": 0, "people": 0, "files": 0, "faces_of_these_people": 0, "examples": {}, "note": why}


def check(model: str, test: Faces, distance: int | None = SAME) -> dict[str, Any]:
    """Every stage behind a model against a test set, JSON-able.

    Args:
        distance: bits within which pictures are the same; None = pictures are not compared.

    Returns:
        `stages`: what each shares with the test; `leaks` and `unknown`: what follows, in words.
    """
    stages: list[dict[str, Any]] = []
    for stage in lineage(model):
        facts: dict[str, Any] = {"model": stage.model, "stage": stage.kind, "records": stage.records,
                                 "split": stage.split, "unknown": stage.unknown}  # fmt: skip
        if stage.kind == "embedded":
            facts |= _embedded(test)
        elif stage.unknown is None:
            try:
                train = learned(stage)
                facts |= {"n": len(train.keys), **shared(test, train)}
                facts |= alike(test, train, distance) if distance is not None else {}
            except ConfigError as e:
                facts["unknown"] = f"what {stage.model} learned from cannot be compared: {e}"
        stages.append(facts)
    unknown = [s["unknown"] for s in stages if s["unknown"]]
    unknown += [f"pictures of {s['records']} were not compared: {s['why']}" for s in stages if s.get("why")]
    unknown += [f"people were not compared with {s['records']}: one of the two does not name them" for s in stages
                if s["unknown"] is None and s["people"] is None]  # fmt: skip
    return {"model": model, "n": len(test.keys), "stages": stages, "leaks": [x for s in stages for x in _leaks(s)],
            "unknown": list(dict.fromkeys(unknown))}  # fmt: skip


def _leaks(stage: dict[str, Any]) -> list[str]:
    """What a stage and the test share, in words."""
    if stage["unknown"] or stage["stage"] == "embedded":
        return []
    where, found = f"{stage['stage']} on {stage['records']} ({stage['split']})", []
    if stage["ids"]:
        found.append(f"{where}: {stage['ids']} test faces were trained on, e.g. {stage['examples']['ids'][0]}")
    if stage["people"]:
        found.append(f"{where}: {stage['faces_of_these_people']} test faces are of {stage['people']} people who were "
                     f"trained on, e.g. {stage['examples']['people'][0]}")  # fmt: skip
    if stage["files"] and not stage["ids"]:
        found.append(f"{where}: {stage['files']} test pictures were trained on under other ids, e.g. "
                     f"{stage['examples']['files'][0]}")  # fmt: skip
    if stage.get("near_duplicates"):
        found.append(f"{where}: {stage['near_duplicates']} test pictures are near-identical to ones trained on, e.g. "
                     f"{stage['near_examples'][0]}")  # fmt: skip
    return found


def of_run(model: str, faces: RecordSet) -> dict[str, Any]:
    """What `eval.run` records by itself: all but the comparison of pictures."""
    try:
        return check(model, faces_in(faces), distance=None)
    except ConfigError as e:
        return {"model": model, "n": len(faces.records), "stages": [], "leaks": [], "unknown": [str(e)]}


def in_words(found: dict[str, Any]) -> list[str]:
    """The findings, a line each."""
    lines = [f"leak: {text}" for text in found["leaks"]] + [f"not known: {text}" for text in found["unknown"]]
    chain = " <- ".join(str(stage["model"]) for stage in found["stages"])
    verdict = "" if found["leaks"] else f"no leak found for {found['n']} test faces"
    verdict += ", as far as it is known" if verdict and found["unknown"] else ""
    return [chain, *lines, *([verdict] if verdict else [])]


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(LeakageConfig, __doc__, argv)
    try:
        test = faces_of(config.records, config.split)
        if not test.keys:
            raise ConfigError(f"{config.records} has no records in split {config.split!r}: nothing to compare")
        found = check(config.model, test, config.distance)
        if config.out:
            write_resolved(config, Path(config.out))
            with whole_file(Path(config.out) / "leakage.json") as draft:
                draft.write_text(json.dumps(found, indent=2) + "\n")
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print("\n".join(in_words(found)))
    if found["leaks"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
