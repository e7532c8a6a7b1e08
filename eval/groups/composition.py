"""What subgroups are made of, where numbers cannot be read without knowing: few people, classes that are missing."""

from collections.abc import Mapping, Sequence

from eval.frame.predictions import Prediction
from eval.groups.disparity import FEW_PEOPLE
from eval.groups.subgroups import Factor


def caveats(rows: Sequence[Prediction], found: Sequence[Factor], least: int) -> list[str]:
    """What must be known beside the numbers of subgroups that are given one."""
    said = []
    for factor in found:
        if len(factor.order) == 1:
            said.append(f"{factor.name}: all faces are {factor.order[0]}, there is nobody to compare with")
        if factor.crossed:
            continue
        shown: dict[str, list[Prediction]] = {value: [] for value in factor.order}
        for value, row in zip(factor.values, rows, strict=True):
            if value is not None and row.error is None:
                shown[value].append(row)
        large = {value: some for value, some in shown.items() if len(some) >= least}
        said += _few_people(factor.name, large) + _lacking(factor.name, large)
    return said


def _few_people(name: str, shown: Mapping[str, Sequence[Prediction]]) -> list[str]:
    found = []
    for value, rows in shown.items():
        people = {(row.source, row.subject) for row in rows if row.subject is not None}
        if len(people) < FEW_PEOPLE and all(row.subject is not None for row in rows):
            found.append(f"{name} {value}: {len(rows)} faces of {len(people)} people; intervals over fewer than "
                         f"{FEW_PEOPLE} people are too narrow")  # fmt: skip
    return found


def _lacking(name: str, shown: Mapping[str, Sequence[Prediction]]) -> list[str]:
    """Classes that other subgroups show: means over classes are then over others."""
    golds = {value: {str(row.gold) for row in rows if row.judged and row.kind in ("label", "choice", "yes/no")}
             for value, rows in shown.items()}  # fmt: skip
    every = set().union(*golds.values()) if golds else set()
    found = []
    for value, classes in golds.items():
        if len(classes) == 1 and len(every) > 1:
            found.append(f"{name} {value}: every face is labelled {next(iter(classes))}, so that its UAR and F1 are "
                         "of that class alone")  # fmt: skip
        elif classes and every - classes:
            found.append(f"{name} {value}: no face is labelled {', '.join(sorted(every - classes))}; its means over "
                         "classes leave these out, those of others do not")  # fmt: skip
    return found
