"""What a record must pass on its way into a set: pure steps, each record -> record, or a Drop that says why not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from facevlm.answer import Mode, parse
from facevlm.config import ConfigError
from facevlm.prompts import asked_parts, gold, variant
from facevlm.record import Drop, FaceRecord, Split, faults
from facevlm.vocab import LABEL_SETS

Item = FaceRecord | Drop


def well_formed(record: FaceRecord) -> Item:
    """Drops a record that is faulty in itself, see `facevlm.record.faults`."""
    found = faults(record)
    return Drop(record.id, "bad record", "; ".join(found)) if found else record


class Unique:
    """Drops a record whose source and id were seen before."""

    def __init__(self) -> None:
        # Hashes of 8 bytes: among a million names, two share one by chance once in 30 million builds.
        self.seen: set[int] = set()

    def __call__(self, record: FaceRecord) -> Item:
        key = hash((record.source, record.id))
        if key in self.seen:
            return Drop(record.id, "duplicate id", f"an earlier record of {record.source} has this id")
        self.seen.add(key)
        return record


def gold_faults(record: FaceRecord, mode: Mode) -> list[str]:
    """How the right answer to a record fails to read back as its labels; empty if it reads back as it should.

    A record whose gold answer cannot score full marks would teach, and reward, the wrong thing.
    """
    parts = asked_parts(mode, record)
    try:
        text = gold(record, parts)
    except ValueError as e:
        return [str(e)]
    read = parse(text, parts, LABEL_SETS[record.label_set].labels if record.label_set else None)
    found = list(read.faults)
    if "au" in parts and (read.aus is None or tuple(sorted(read.aus)) != record.present_aus):
        found.append(f"AUs read back as {read.aus}, not {record.present_aus}")
    if "answer" in parts and read.emotion != record.emotion:
        found.append(f"the emotion reads back as {read.emotion}, not {record.emotion}")
    if "think" in parts and read.thinking != (record.rationale or "").strip():
        found.append("the rationale does not read back whole")
    return found


def labelled(record: FaceRecord) -> bool:
    """Whether a record has anything that could be asked for."""
    return bool(record.aus or record.emotion or record.emotion_probs or record.emotion_words or record.attributes
                or record.caption) or record.valence is not None  # fmt: skip


def answerable(record: FaceRecord, modes: Sequence[Mode] | None) -> Item:
    """Drops a record with no label that any of the modes asks for; None = with no label at all."""
    if modes is None:
        return record if labelled(record) else Drop(record.id, "no label", "nothing is labelled that could be asked")
    if modes and not any({"au", "answer"} & set(asked_parts(mode, record)) for mode in modes):
        return Drop(record.id, "no label", f"neither AUs nor an emotion that mode {' or '.join(modes)} could ask for")
    return record


class GoldHolds:
    """Drops a record whose gold answer does not read back as its labels in one of the modes."""

    def __init__(self, modes: Sequence[Mode]) -> None:
        self.modes = modes
        self._good: set[tuple[Any, ...]] = set()

    def __call__(self, record: FaceRecord) -> Item:
        # Without a rationale the answer hangs on the labels alone, and a million records have few different ones.
        key = record.present_aus, bool(record.aus), record.emotion, record.label_set, record.au_threshold
        if record.rationale is None and key in self._good:
            return record
        if not (record.aus or record.emotion):
            return record
        found = [f"{mode}: {fault}" for mode in self.modes for fault in gold_faults(record, mode)]
        if found:
            return Drop(record.id, "gold answer fails", "; ".join(found))
        if record.rationale is None:
            self._good.add(key)
        return record


@dataclass(frozen=True)
class SplitRule:
    """How records whose source gives no split get one."""

    by: Literal["subject", "record"] = "subject"
    """subject: a person is on one side only; a record without a subject goes by its picture, so that
    two faces of one picture are not parted."""
    val: float = 0.1
    test: float = 0.2
    seed: int = 0
    val_of_train: float = 0
    """Share of the subjects (or records) of a train split given by the source that becomes val."""
    allow_shared_subjects: bool = False
    """Accept a source that puts one person on both sides."""

    def __post_init__(self) -> None:
        if not 0 <= self.val_of_train < 1:
            raise ConfigError(f"val_of_train {self.val_of_train} must be a share of 0 or more and below 1")
        if min(self.val, self.test) < 0 or self.val + self.test >= 1:
            raise ConfigError(f"val {self.val} and test {self.test} must be shares of 0 or more, together below 1")


def drawn_split(record: FaceRecord, rule: SplitRule) -> Split:
    """The split that the rule draws: it hangs on the key and the seed alone, so more data never moves a person."""
    if record.split and (record.split != "train" or not rule.val_of_train):
        return record.split
    key = (record.subject or record.media) if rule.by == "subject" else record.id
    share = variant(rule.seed, f"split:{key}", 10**6) / 10**6
    if record.split == "train":
        return "val" if share < rule.val_of_train else "train"
    return "test" if share < rule.test else "val" if share < rule.test + rule.val else "train"


class Placer:
    """Gives records their split, and remembers which side each subject is on."""

    def __init__(self, rule: SplitRule) -> None:
        self.rule = rule
        self.seen: dict[tuple[str, str], Counter[Split]] = {}

    def __call__(self, record: FaceRecord) -> FaceRecord:
        split = drawn_split(record, self.rule)
        if record.subject is not None and (record.split or self.rule.by == "subject"):
            self.seen.setdefault((record.source, record.subject), Counter())[split] += 1
        return record if split == record.split else record.in_split(split)

    def check(self) -> None:
        """Refuse a set in which one person is on two sides.

        Raises:
            ConfigError: names the subjects, and how many records each has where.
        """
        shared = {subject: counts for (_, subject), counts in sorted(self.seen.items()) if len(counts) > 1}
        if not shared or self.rule.allow_shared_subjects:
            return
        some = [f"{name} ({', '.join(f'{n} {split}' for split, n in sorted(counts.items()))})"
                for name, counts in list(shared.items())[:10]]  # fmt: skip
        raise ConfigError(f"{len(shared)} subjects are in more than one split: {', '.join(some)}"
                          f"{', …' if len(shared) > len(some) else ''}. A score on people seen in training says "
                          "little: leave out the source's split, and subjects are kept apart, or set "
                          "split.allow_shared_subjects=true")  # fmt: skip
