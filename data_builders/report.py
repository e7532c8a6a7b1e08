"""What a build says of itself: the tally, `report.json`, the summary on the screen, and the data card (README.md)."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from data_builders.source import Source
from facevlm.config import versions
from facevlm.record import Drop, FaceRecord, whole_file
from facevlm.vocab import AUS

SPLITS = ("train", "val", "test")
UNLABELLED = "(not labelled)"

_HUB = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "cc0-1.0",
        "mit", "unknown")  # fmt: skip
"""The Hub's names of licences that face sets come under; any other licence is "other", with its own name beside it."""


SUBGROUPS = ("gender", "age_group", "race", "skin_tone")
"""Attributes by which people are counted, beside the decade of `age`."""


@dataclass
class Tally:
    """Counts over a build; everything but `subjects` stays small however many records there are."""

    origin: Source
    given: Counter[str] = field(default_factory=Counter)
    """Rows that the source gave, by the split that it names itself."""
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """The first row dropped for each reason, and what was found."""
    dropped_in: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Reasons by split; "" where the row was given up before its split was known."""
    splits: Counter[str] = field(default_factory=Counter)
    emotions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    positives: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    labelled: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    subjects: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    no_subject: Counter[str] = field(default_factory=Counter)
    groups: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter)))  # fmt: skip
    """Subgroup attribute -> split -> value -> records."""
    facts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By source, licence, label_set, au_threshold, aus_by and rationale_by."""
    words: Counter[int] = field(default_factory=Counter)
    """Rationales by their length in words."""
    pairs: Counter[str] = field(default_factory=Counter)
    """Pairs of near-identical pictures, by what was done about them."""
    notes: dict[str, None] = field(default_factory=dict)
    """What the source says of its files, each once, in order."""

    @property
    def kept(self) -> int:
        return self.splits.total()

    def read(self, item: FaceRecord | Drop) -> None:
        """Count a row as the source gave it."""
        self.given[item.split] += 1

    def note(self, text: str) -> None:
        """Keep what the source says of its files."""
        self.notes.setdefault(text)

    def drop(self, drops: Sequence[Drop]) -> None:
        """Count what was dropped, by its reason."""
        for item in drops:
            self.dropped[item.reason] += 1
            self.examples.setdefault(item.reason, f"{item.id}: {item.detail}")
            self.dropped_in[item.split][item.reason] += 1

    def keep(self, table: pa.Table) -> None:
        """Count kept records, a table in `record.SCHEMA`: by columns, for rows would take longer than reading them."""
        if not len(table):
            return
        split = table["split"].to_pylist()
        self.splits.update(split)
        for (where, word), n in Counter(zip(split, table["emotion"].to_pylist(), strict=True)).items():
            self.emotions[where][word or UNLABELLED] += n
        who = Counter(zip(split, table["source"].to_pylist(), table["subject"].to_pylist(), strict=True))
        for (where, source, subject), n in who.items():
            if subject is None:
                self.no_subject[where] += n
            else:
                self.subjects[where].add((source, subject))
        for name in ("source", "licence", "label_set", "au_threshold", "aus_by", "rationale_by"):
            for value, n in Counter(table[name].to_pylist()).items():
                if value is not None:
                    self.facts[name][f"{value:g}" if isinstance(value, float) else value] += n
        self.words.update(len(text.split()) for text in table["rationale"].to_pylist() if text is not None)
        self._aus(table, split)
        self._subgroups(table["attributes"].combine_chunks(), split)

    def _aus(self, table: pa.Table, split: list[str]) -> None:
        lists = table["aus"].combine_chunks()
        row = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
        pairs = lists.flatten()
        number, level = (pairs.field(i).to_numpy(zero_copy_only=False) for i in range(2))
        present = level >= table["au_threshold"].to_numpy()[row]
        where = np.array(split)[row]
        for name in set(split):
            at = where == name
            self.labelled[name].update(number[at].tolist())
            self.positives[name].update(number[at & present].tolist())

    def _subgroups(self, lists: pa.Array, split: list[str]) -> None:
        row = pc.list_parent_indices(lists).to_pylist()
        pairs = lists.flatten()
        for i, name, value in zip(row, pairs.field(0).to_pylist(), pairs.field(1).to_pylist(), strict=True):
            if name in SUBGROUPS:
                self.groups[name][split[i]][value] += 1
            elif name == "age":
                decade = int(float(value)) // 10 * 10
                self.groups["age"][split[i]][f"{decade}-{decade + 9}"] += 1


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


def by_split(tally: Tally) -> dict[str, dict[str, Any]]:
    """Split -> rows the source gave it, records kept, rows dropped by reason, rows its owners state.

    "read" goes by the split that the source names ("" = it names none), "kept" by the split they are in now.
    """
    # A source may give a split that does not exist; its rows are dropped, and counted all the same.
    found = {name for name in (*tally.given, *tally.dropped_in, *tally.origin.published)
             if tally.given[name] or tally.dropped_in.get(name) or name in tally.origin.published}  # fmt: skip
    names = [*SPLITS, *sorted(found - set(SPLITS))]
    return {
        name: {"read": tally.given[name], "kept": tally.splits[name],
               "dropped": dict(tally.dropped_in[name].most_common()), "published": tally.origin.published.get(name)}
        for name in names
    }  # fmt: skip


def as_dict(tally: Tally) -> dict[str, Any]:
    """The tally as the plain values of `report.json`."""
    return {
        "read": tally.given.total(),
        "kept": tally.kept,
        "dropped": dict(tally.dropped.most_common()),
        "splits": {s: tally.splits[s] for s in SPLITS},
        "sources": {tally.origin.name: by_split(tally)},
        "published": dict(tally.origin.published),
        "notes": list(tally.notes),
        "near_duplicates": dict(sorted(tally.pairs.items())),
        "emotions": {s: dict(sorted(tally.emotions[s].items())) for s in SPLITS},
        "aus": {f"AU{au}": {s: {"positives": p, "labelled": n} for s, (p, n) in counts.items()}
                for au, counts in support(tally).items()},
        "subjects": {s: len(tally.subjects[s]) for s in SPLITS},
        "records_without_subject": {s: tally.no_subject[s] for s in SPLITS},
        "subgroups": {name: {s: dict(sorted(groups[s].items())) for s in SPLITS}
                      for name, groups in sorted(tally.groups.items())},
        **{name: dict(sorted(tally.facts[name].items()))
           for name in ("source", "licence", "label_set", "au_threshold", "aus_by", "rationale_by")},
        "rationale_words": _lengths(tally.words),
        "versions": versions(),
    }  # fmt: skip


def found(tally: Tally) -> str:
    """Rows found beside the counts that the owners state: "train 12271 of 12271 published, test 3000 of 3068"."""
    published = tally.origin.published
    parts = []
    for name in (*SPLITS, ""):
        n = tally.given.total() if name == "" and "" in published else tally.given[name]
        if n or name in published:
            stated = f" of {published[name]:,} published" if name in published else ""
            parts.append(f"{name or 'all' if stated else name or 'no split'} {n:,}{stated}")
    return ", ".join(parts)


def summary(tally: Tally) -> str:
    """A few lines for the screen: kept, dropped by reason, per split, per emotion, per AU."""
    emotions = sum(tally.emotions.values(), Counter[str]())
    positives = sum(tally.positives.values(), Counter[int]())
    labelled = sum(tally.labelled.values(), Counter[int]())
    reasons = ", ".join(f"{reason} {n}" for reason, n in tally.dropped.most_common())
    lines = [
        f"read: {found(tally)}",
        *(f"note: {text}" for text in tally.notes),
        f"kept {tally.kept}, dropped {tally.dropped.total()}" + (f": {reasons}" if reasons else ""),
        "splits: " + ", ".join(f"{s} {tally.splits[s]} ({len(tally.subjects[s])} subjects)" for s in SPLITS),
        "emotions: " + ", ".join(f"{word} {n}" for word, n in emotions.most_common()),
    ]
    if labelled:
        shown = (f"AU{au} {positives[au]}/{labelled[au]}" for au in sorted(labelled))
        lines.append("AUs (present/labelled): " + ", ".join(shown))
    if tally.pairs:
        lines.append("near-identical pictures (pairs): " + ", ".join(f"{k} {n}" for k, n in tally.pairs.most_common()))
    if tally.no_subject:
        lines.append(f"{tally.no_subject.total()} records name no subject: nothing keeps one person out of two splits")
    return "\n".join(lines)


def grid(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def hub_licence(licences: Sequence[str]) -> dict[str, str]:
    """The Hub's keys for the licence of a set whose records come under these."""
    known = licences[0].lower().replace(" ", "-") if len(licences) == 1 else ""
    return {"license": known} if known in _HUB else {"license": "other", "license_name": "; ".join(licences)}


def _front_matter(name: str, tally: Tally) -> str:
    facts: dict[str, Any] = dict(hub_licence(sorted(tally.facts["licence"])))
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
        grid(["split", "records", "subjects", "records without a subject"],
              [[s, tally.splits[s], len(tally.subjects[s]), tally.no_subject[s]] for s in SPLITS]),
        grid(["emotion", *SPLITS], [[word, *(tally.emotions[s][word] for s in SPLITS)] for word in words]),
    ]  # fmt: skip
    if aus := support(tally):
        body = [[f"AU{au} {AUS[au].name}", *(f"{p} / {n}" for p, n in by.values())] for au, by in aus.items()]
        parts.append("Present / labelled. An action unit that is not labelled is not counted as absent.\n\n"
                     + grid(["action unit", *SPLITS], body))  # fmt: skip
    for name, groups in sorted(tally.groups.items()):
        values = sorted({value for counts in groups.values() for value in counts})
        parts.append(grid([name, *SPLITS], [[value, *(groups[s][value] for s in SPLITS)] for value in values]))
    head = ["split, as the source names it", "rows read", "rows its owners state", "dropped because"]
    body = [[name or "(none)", facts["read"], facts["published"] if facts["published"] is not None else "",
             ", ".join(f"{reason} {n}" for reason, n in facts["dropped"].items())]
            for name, facts in by_split(tally).items()]  # fmt: skip
    parts.append(grid(head, body))
    for name in ("source", "licence"):
        parts.append(grid([name, "records"], [[value, n] for value, n in sorted(tally.facts[name].items())]))
    if tally.dropped:
        parts.append(grid(["dropped because", "rows"], [[r, n] for r, n in tally.dropped.most_common()]))
    return "\n\n".join(parts)


USES = """\
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

{USES}"""


def write(folder: Path, name: str, tally: Tally, how: Mapping[str, str]) -> None:
    """Write `report.json` and the data card into the folder of a set."""
    with whole_file(folder / "report.json") as draft:
        draft.write_text(json.dumps(as_dict(tally), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with whole_file(folder / "README.md") as draft:
        draft.write_text(card(name, tally, how), encoding="utf-8")
