"""Labels that stand in columns of their own, without text: what most people who do not use a language model have.

    id;emotion;aus              id,AU1,AU12              name,valence,arousal
    0001;Happy;6 12             0001,0,1                 0001,"0,35","-0,2"

A row is written in the answer form and then read strictly, as any other answer: numbers rounded to two places,
intensities to whole ones. An empty cell is no answer, never a 0.
"""

import re
from collections.abc import Mapping, Sequence

from eval.elsewhere.columns import au_columns, plain
from eval.elsewhere.reading import Asked, Row, text_of
from facevlm.answer import Part, fold, write
from facevlm.config import ConfigError
from facevlm.vocab import AUS, INTENSITY_LETTERS, LABEL_SETS, canonical_emotion

_AU_ITEM = re.compile(r"(?:au)?0*([1-9][0-9]?)(?::?([a-e]))?", re.IGNORECASE)


def read_list(text: str) -> dict[int, int | None] | None:
    """AUs as people list them, "6 12", "AU06+AU12", "[6, 12]", "AU6:B；AU12"; None if it is no list of AUs."""
    inside = re.sub(r"(?i)\bau[\s_]+(?=\d)", "au", text.strip().strip("[](){}"))
    items = [item for item in re.split(r"[\s,;+|/&，、；'\"]+", inside) if item]
    if [item.lower() for item in items] in ([], ["none"], ["0"]):
        return {} if text.strip() else None
    found: dict[int, int | None] = {}
    for item in items:
        match = _AU_ITEM.fullmatch(item)
        if not match or int(match[1]) not in AUS:
            return None
        found[int(match[1])] = INTENSITY_LETTERS.index(match[2].upper()) + 1 if match[2] else None
    return found


def read_number(text: str) -> float | None:
    """A number with a point or a comma before its decimals; None if it is none."""
    match = re.fullmatch(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", text.strip().replace("−", "-"), re.IGNORECASE)
    return float(match[0].replace(",", ".")) if match else None


def _flag(cell: str) -> bool | None:
    """Whether a cell says yes; -1 is CelebA's no. None if it is neither."""
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "-1": False}
    return words.get(cell.lower())


class LabelTable:
    """How the cells of a table are read."""

    def __init__(self, columns: Mapping[str, str], available: Sequence[str], label_ids: str | None,
                 intensities: bool) -> None:  # fmt: skip
        if label_ids is not None and label_ids not in LABEL_SETS:
            raise ConfigError(f"label_ids={label_ids}: no label set is called so; known: {', '.join(LABEL_SETS)}")
        self.columns, self.label_ids, self.intensities = columns, label_ids, intensities
        self.by_name = {plain(name): name for name in reversed(available)}
        self.aus = au_columns(available)

    def answer_column(self, asked: Asked, aspect: str = "") -> str | None:
        """Where the answer stands: a column named like what is asked, or that of the role."""
        names = (plain(aspect), plain(asked.task)) if aspect else (plain(asked.task),)
        return next((self.by_name[name] for name in names if name in self.by_name), self.columns.get("answer"))

    def parts(self, asked: Asked, aspect: str = "") -> list[Part]:
        """The parts of an answer that the table has columns for."""
        there: dict[Part, bool] = {"au": "aus" in self.columns or bool(self.aus)}
        match asked.form.kind:
            case "pair":
                there["answer"] = {"valence", "arousal"} <= self.columns.keys()
            case "shares":
                there["answer"] = any(name.startswith("p_") for name in self.by_name)
            case "words" if self._of_labels(asked):
                there["answer"] = True
            case _:
                there["answer"] = self.answer_column(asked, aspect) is not None
        return [part for part, given in there.items() if given]

    def text(self, row: Row, asked: Asked, aspect: str = "") -> str:
        """The labels of a row in the answer form; what cannot be read stands in it as it is."""
        made = ""
        if "au" in asked.parts:
            made += f"<au>{self._aus(row)}</au>"
        if "answer" in asked.parts:
            made += f"<answer>{self._answer(row, asked, aspect)}</answer>"
        return made

    def _aus(self, row: Row) -> str:
        if "aus" in self.columns:
            cell = text_of(row.get(self.columns["aus"]))
            listed = read_list(cell)
            if listed is None:
                return cell
        else:
            cells = {au: text_of(row.get(name)) for au, name in self.aus.items()}
            levels = {au: self._level(cell) for au, cell in cells.items()}
            if bad := [f"AU{au}={cells[au]}" for au, level in levels.items() if level is None]:
                return ", ".join(bad)
            listed = {au: level if self.intensities else None for au, level in levels.items() if level}
        letters = {au: f":{INTENSITY_LETTERS[level - 1]}" if level else "" for au, level in sorted(listed.items())}
        return ", ".join(f"AU{au}{letter}" for au, letter in letters.items()) or "none"

    def _level(self, cell: str) -> int | None:
        number = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}.get(cell.lower(), read_number(cell))
        if number is None or not 0 <= number <= 5 or not (self.intensities or number in (0, 1)):
            return None
        return int(number + 0.5)

    def _answer(self, row: Row, asked: Asked, aspect: str) -> str:
        kind = asked.form.kind
        if kind == "pair":
            cells = [text_of(row.get(self.columns[axis])) for axis in ("valence", "arousal")]
            valence, arousal = map(read_number, cells)
            return ", ".join(cells) if valence is None or arousal is None else write((valence, arousal))
        if kind == "shares":
            return write(self.chances(row, asked) or {})
        column = self.answer_column(asked, aspect)
        cell = text_of(row.get(column)) if column is not None else ""
        if kind == "number":
            number = read_number(cell)
            return cell if number is None else write(number)
        if kind == "words" and (own := self._of_labels(asked)):
            flags = {label: _flag(text_of(row.get(name))) for label, name in own.items()}
            if None in flags.values():
                return ", ".join(text_of(row.get(name)) for name in own.values())
            return ", ".join(label for label, there in flags.items() if there) or "none"
        if kind == "words":
            items = [fold(item.strip("'\" ")) for item in re.split(r"[,;|，、；]", cell.strip().strip("[]"))]
            return ", ".join(dict.fromkeys(item for item in items if item)) or ("none" if cell.strip() else "")
        if kind == "yes/no":
            return {"1": "yes", "0": "no", "true": "yes", "false": "no"}.get(cell.lower(), cell)
        return self._label(cell) if kind == "label" else cell

    def _of_labels(self, asked: Asked) -> dict[str, str]:
        """The column of each label on offer, where every one has its own; else none."""
        own = {label: self.by_name[plain(label)] for label in asked.labels if plain(label) in self.by_name}
        return own if len(own) == len(asked.labels) else {}

    def _label(self, cell: str) -> str:
        if self.label_ids is None:
            return cell
        try:
            return LABEL_SETS[self.label_ids].label(cell) or cell
        except ValueError:
            return cell

    def chances(self, row: Row, asked: Asked) -> dict[str, float] | None:
        """The probability of each label on offer, from columns `p_<label>`; None where there are none.

        Raises:
            ConfigError: a column for a label is missing, or they do not sum to 1.
        """
        cells = {name[2:].replace("_", " "): column for name, column in self.by_name.items() if name[:2] == "p_"}
        if not cells or not asked.labels:
            return None
        own = {canonical_emotion(name) or fold(name): column for name, column in cells.items()}
        if missing := [label for label in asked.labels if fold(label) not in own]:
            raise ConfigError(f"there are columns p_…, but none for {', '.join(missing)}; name them p_<label>")
        found = {label: read_number(text_of(row.get(own[fold(label)]))) for label in asked.labels}
        values = [value for value in found.values() if value is not None]
        if len(values) < len(found) or not all(0 <= value <= 1 for value in values) or not 0.98 < sum(values) < 1.02:
            raise ConfigError(f"probabilities {found} are not numbers of 0-1 that sum to 1")
        return {label: float(value or 0) / sum(values) for label, value in found.items()}
