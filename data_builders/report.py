"""What a build says of itself: the tally, `report.json`, the summary on the screen, and the data card (README.md)."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from facevlm.config import versions
from facevlm.record import Drop, FaceRecord, whole_file
from facevlm.vocab import AUS

SPLITS = ("train", "val", "test")
UNLABELLED = "(not labelled)"

_HUB = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "cc0-1.0",
        "mit", "unknown")  # fmt: skip
"""The Hub's names of licences that face sets come under; any other licence is "other", with its own name beside it."""


@dataclass
class Tally:
    """Counts over a build; everything but `subjects` stays small however many records there are."""

    dropped: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    emotions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    positives: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    labelled: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    subjects: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    no_subject: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By source, licence, label_set, au_threshold and rationale_by."""
    words: Counter[int] = field(default_factory=Counter)
    """Rationales by their length in words."""

    @property
    def kept(self) -> int:
        return self.splits.total()

    def add(self, item: FaceRecord | Drop) -> None:
        """Count a kept record, or a dropped one by its reason."""
        if isinstance(item, Drop):
            self.dropped[item.reason] += 1
            return
        self.splits[item.split] += 1
        self.emotions[item.split][item.emotion or UNLABELLED] += 1
        self.labelled[item.split].update(item.labelled_aus)
        self.positives[item.split].update(item.present_aus)
        if item.subject is None:
            self.no_subject[item.split] += 1
        else:
            self.subjects[item.split].add((item.source, item.subject))
        for name in ("source", "licence", "label_set", "au_threshold", "rationale_by"):
            if (value := getattr(item, name)) is not None:
                self.facts[name][f"{value:g}" if isinstance(value, float) else str(value)] += 1
        if item.rationale is not None:
            self.words[len(item.rationale.split())] += 1


def support(tally: Tally) -> dict[int, dict[str, tuple[int, int]]]:
    """AU number -> split -> (positives, labelled), for the AUs that are labelled anywhere."""
    known = sorted({au for counts in tally.labelled.values() for au in counts})
    return {au: {s: (tally.positives[s][au], tally.labelled[s][au]) for s in SPLITS} for au in known}


def _lengths(words: Counter[int]) -> dict[str, float] | None:
    if not words:
        return None
    total, ordered = words.total(), sorted(words.elements())
    mean = sum(length * n for length, n in words.items()) / total
    return {"records": total, "min": ordered[0], "median": ordered[total // 2], "mean": round(mean, 1),
            "max": ordered[-1]}  # fmt: skip


def as_dict(tally: Tally, seconds: float) -> dict[str, Any]:
    """The tally as the plain values of `report.json`."""
    return {
        "kept": tally.kept,
        "dropped": dict(tally.dropped.most_common()),
        "splits": {s: tally.splits[s] for s in SPLITS},
        "emotions": {s: dict(sorted(tally.emotions[s].items())) for s in SPLITS},
        "aus": {f"AU{au}": {s: {"positives": p, "labelled": n} for s, (p, n) in by_split.items()}
                for au, by_split in support(tally).items()},
        "subjects": {s: len(tally.subjects[s]) for s in SPLITS},
        "records_without_subject": {s: tally.no_subject[s] for s in SPLITS},
        **{name: dict(sorted(tally.facts[name].items()))
           for name in ("source", "licence", "label_set", "au_threshold", "rationale_by")},
        "rationale_words": _lengths(tally.words),
        "seconds": round(seconds, 2),
        "versions": versions(),
    }  # fmt: skip


def summary(tally: Tally) -> str:
    """A few lines for the screen: kept, dropped by reason, per split, per emotion, per AU."""
    emotions = sum(tally.emotions.values(), Counter[str]())
    positives = sum(tally.positives.values(), Counter[int]())
    labelled = sum(tally.labelled.values(), Counter[int]())
    reasons = ", ".join(f"{reason} {n}" for reason, n in tally.dropped.most_common())
    lines = [
        f"kept {tally.kept}, dropped {tally.dropped.total()}" + (f": {reasons}" if reasons else ""),
        "splits: " + ", ".join(f"{s} {tally.splits[s]} ({len(tally.subjects[s])} subjects)" for s in SPLITS),
        "emotions: " + ", ".join(f"{word} {n}" for word, n in emotions.most_common()),
    ]
    if labelled:
        shown = (f"AU{au} {positives[au]}/{labelled[au]}" for au in sorted(labelled))
        lines.append("AUs (present/labelled): " + ", ".join(shown))
    if tally.no_subject:
        lines.append(f"{tally.no_subject.total()} records name no subject: nothing keeps one person out of two splits")
    return "\n".join(lines)


def _grid(head: list[str], body: list[list[Any]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def _front_matter(name: str, tally: Tally) -> str:
    licences = sorted(tally.facts["licence"])
    hub = licences[0].lower().replace(" ", "-") if len(licences) == 1 else ""
    other = {"license": "other", "license_name": "; ".join(licences)}
    facts: dict[str, Any] = {"license": hub} if hub in _HUB else other
    size = next((text for top, text in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"),
                                        (10**6, "100K<n<1M")) if tally.kept < top), "n>1M")  # fmt: skip
    facts |= {
        "pretty_name": name,
        "task_categories": ["image-text-to-text"],
        "tags": ["face", "facial-expression", "facial-action-units", "facevlm"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": "records-*.parquet"}],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"


def _counts(tally: Tally) -> str:
    words = sorted({word for counts in tally.emotions.values() for word in counts})
    parts = [
        _grid(["split", "records", "subjects", "records without a subject"],
              [[s, tally.splits[s], len(tally.subjects[s]), tally.no_subject[s]] for s in SPLITS]),
        _grid(["emotion", *SPLITS], [[word, *(tally.emotions[s][word] for s in SPLITS)] for word in words]),
    ]  # fmt: skip
    if found := support(tally):
        body = [[f"AU{au} {AUS[au].name}", *(f"{p} / {n}" for p, n in by.values())] for au, by in found.items()]
        parts.append("Present / labelled. An action unit that is not labelled is not counted as absent.\n\n"
                     + _grid(["action unit", *SPLITS], body))  # fmt: skip
    for name in ("source", "licence"):
        parts.append(_grid([name, "records"], [[value, n] for value, n in sorted(tally.facts[name].items())]))
    if tally.dropped:
        parts.append(_grid(["dropped because", "rows"], [[r, n] for r, n in tally.dropped.most_common()]))
    return "\n\n".join(parts)


_USES = """\
## What it must not be used for

The labels say what a face shows, or what an annotator read in it; they do not say what a person feels, thinks, intends
or is. Do not use the set, or a model trained on it, to judge people: not for hiring, schooling, policing, border
control, credit, insurance, lie detection, or medical decisions without a clinician; not to identify anyone; not to
watch people who have not agreed. Emotion inference at work and in schools is banned in the European Union (AI Act,
article 5). Scores differ between groups of people: report them by subgroup.

Whoever holds the pictures is bound by the licence of each source; this folder passes on no right to them.
"""


def card(name: str, tally: Tally, how: Mapping[str, str]) -> str:
    """The data card in the Hub's form: YAML front matter, how the set was made, what is in it, what it is not for.

    Args:
        name: of the set, its headline.
        how: what to say of the making, title -> sentence.
    """
    made = "\n".join(f"- **{title}.** {text}" for title, text in how.items())
    return f"""{_front_matter(name, tally)}
# {name}

{tally.kept} labelled faces as `facevlm` records: `records-*.parquet`, one row a face; paths of pictures start at the
root that `dataset.json` names. Rows that were left out, and why: `dropped.jsonl`. All counts: `report.json`. Every
setting: `config.yaml`.

## How it was made

{made}

## What is in it

{_counts(tally)}

{_USES}"""


def write(folder: Path, name: str, tally: Tally, how: Mapping[str, str], seconds: float) -> None:
    """Write `report.json` and the data card into the folder of a set."""
    with whole_file(folder / "report.json") as draft:
        draft.write_text(json.dumps(as_dict(tally, seconds), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with whole_file(folder / "README.md") as draft:
        draft.write_text(card(name, tally, how), encoding="utf-8")
