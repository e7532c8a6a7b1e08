"""Which record is asked what: tasks drawn by weight, classes evened out.

Both hang on the seed and on each record's source and id alone, never on the order of the records: another record, or
another task with its weight, leaves most of the draws of the others as they were.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from facevlm.answer import Value
from facevlm.config import ConfigError
from facevlm.prompts import applies, asked_parts, narrowed, variant
from facevlm.record import FaceRecord
from facevlm.tasks import TASKS

Row = tuple[FaceRecord, str]
"""A record and the task that is asked of it."""


def check(tasks: Mapping[str, float], per_record: int = 1, balance: float = 0.0) -> None:
    """Refuse what cannot be mixed.

    Raises:
        ConfigError: all that is wrong.
    """
    found = [f"tasks.{name}: unknown; known: {', '.join(TASKS)}" for name in tasks if name not in TASKS]
    found += [f"tasks.{name}: the weight {weight} is not a number of 0 or more"
              for name, weight in tasks.items() if not (math.isfinite(weight) and weight >= 0)]  # fmt: skip
    if not found and not any(tasks.values()):
        found.append("tasks: none has a weight above 0")
    if per_record < 1:
        found.append(f"per_record is {per_record}; it must be 1 or more")
    if not 0 <= balance <= 1:
        found.append(f"balance is {balance}; it must be within 0 (as the data is) to 1 (all classes alike)")
    if found:
        raise ConfigError("the config has faults:\n  " + "\n  ".join(found))


def draw(records: Iterable[FaceRecord], tasks: Mapping[str, float], seed: int, per_record: int = 1) -> list[Row]:
    """For each record up to `per_record` different tasks out of those its labels can serve, more often the heavier.

    A record that can serve none has no row.
    """
    weighted = {name: weight for name, weight in tasks.items() if weight > 0}
    return [(record, name) for record in records for name in _drawn(record, weighted, seed, per_record)]


def _drawn(record: FaceRecord, tasks: Mapping[str, float], seed: int, n: int) -> list[str]:
    able = [name for name in tasks if applies(record, name)]
    if len(able) <= 1:
        return able

    # The n smallest of exponential waiting times at the weights as rates: a draw by weight without putting back
    # (Efraimidis & Spirakis 2006), each task with a number of its own.
    def wait(name: str) -> float:
        share = (variant(seed, f"task:{record.source}/{record.id}:{name}", 2**53) + 1) / 2**53
        return -math.log(share) / tasks[name]

    return sorted(able, key=lambda name: (wait(name), name))[:n]


def balanced(rows: Sequence[Row], seed: int, balance: float) -> list[Row]:
    """As many rows of each task as before, its classes moved from their own frequency (0) towards equal ones (1).

    A class that grows repeats its rows, all as often or once more; one that shrinks keeps some. The order stays.
    See `classes` for what a class is. A rare class may come many times over: look at it before setting 1.
    """
    copies = [0] * len(rows)
    by_task: dict[str, list[int]] = defaultdict(list)
    for i, (_, task) in enumerate(rows):
        by_task[task].append(i)
    for indices in by_task.values():
        members: dict[str, list[int]] = defaultdict(list)
        for i, name in zip(indices, classes([rows[i] for i in indices], seed), strict=True):
            members[name].append(i)
        sizes = _sizes({name: len(some) for name, some in members.items()}, balance)
        for name, some in members.items():
            each, more = divmod(sizes[name], len(some))
            ranked = sorted(some, key=lambda i: (_lot(rows[i], seed), i))
            for rank, i in enumerate(ranked):
                copies[i] = each + (rank < more)
    return [row for row, n in zip(rows, copies, strict=True) for _ in range(n)]


def _lot(row: Row, seed: int) -> int:
    return variant(seed, f"balance:{row[0].source}/{row[0].id}:{row[1]}", 2**63)


def _sizes(counts: Mapping[str, int], balance: float) -> dict[str, int]:
    """Whole numbers between the counts and equal ones, with the same sum (largest remainder)."""
    equal = sum(counts.values()) / len(counts)
    exact = {name: n + balance * (equal - n) for name, n in counts.items()}
    sizes = {name: math.floor(size) for name, size in exact.items()}
    left = sum(counts.values()) - sum(sizes.values())
    for name in sorted(exact, key=lambda name: (sizes[name] - exact[name], name))[:left]:
        sizes[name] += 1
    return sizes


def classes(rows: Sequence[Row], seed: int) -> list[str]:
    """The class of each of some rows of one task.

    An emotion, a choice, yes or no: itself. A number: its step, such as the decade of an age. Valence and arousal: the
    quadrant. Shares: the largest. A list of words or AUs: the one that is rarest among these rows. Texts: all one.
    """
    found = [_label(record, task, seed) for record, task in rows]
    counts = Counter(item for items in found if not isinstance(items, str) for item in items)
    return [items if isinstance(items, str) else min(items, key=lambda item: (counts[item], item), default="none")
            for items in found]  # fmt: skip


def _label(record: FaceRecord, name: str, seed: int) -> str | tuple[str, ...]:
    """The class, or several to choose the rarest of."""
    task, face = TASKS[name], narrowed(record, name, seed)
    if "answer" not in asked_parts(name, face):
        return tuple(f"AU{n}" for n in task.aus(face) or ())
    value: Value | None = task.value(face)
    if task.form.kind == "text":
        return ""
    match value:
        case bool() | str():
            return str(value)
        case int() | float():
            return str(math.floor(value / task.step))
        case Mapping():
            return max(sorted(value), key=lambda label: value[label])
        case (float() as valence, float() as arousal):
            return f"valence {'+' if valence >= 0 else '-'}, arousal {'+' if arousal >= 0 else '-'}"
        case tuple():
            return tuple(map(str, value))
    return ""


def mix(records: Sequence[FaceRecord], tasks: Mapping[str, float], seed: int, per_record: int = 1,
        balance: float = 0.0, limit: int | None = None) -> list[Row]:  # fmt: skip
    """Records -> rows to train on: `draw`, then `balanced`.

    Args:
        tasks: weight by name of `facevlm.tasks.TASKS`; 0 = left out.
        per_record: how many different tasks a record is asked, as far as its labels go.
        balance: 0 (as the data is) to 1 (all classes of a task alike).
        limit: use only the first so many records.

    Raises:
        ConfigError: see `check`.
    """
    check(tasks, per_record, balance)
    rows = draw(records[:limit], tasks, seed, per_record)
    return balanced(rows, seed, balance) if balance else rows
