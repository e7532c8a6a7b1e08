"""What evaluation asks about one face."""

from typing import NamedTuple

from eval.frame.predictions import Key
from facevlm.answer import Mode, Part
from facevlm.prompts import asked_parts, narrowed, question
from facevlm.record import FaceRecord
from facevlm.tasks import TASKS


class Question(NamedTuple):
    """One face to ask about."""

    record: FaceRecord
    """As the protocol sees it, with the labels that this question is about."""
    task: str
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    text: str

    @property
    def key(self) -> Key:
        return self.record.source, self.record.id

    @property
    def choices(self) -> tuple[str, ...]:
        """The answers on offer of which exactly one is right; none where the answer is of another kind."""
        if "answer" not in self.parts:
            return ()
        kind = TASKS[self.task].form.kind
        return ("yes", "no") if kind == "yes/no" else self.labels if kind in ("label", "choice") else ()


def ask(record: FaceRecord, task: str, mode: Mode = "explain") -> Question:
    """The question evaluation asks about a record: the first wording, the labels of the record's own set.

    Thinking that a task asks for only where there is some to learn from is asked for in mode explain, of every record:
    the labels of a test face must not show in its question.
    """
    asked, face = TASKS[task], narrowed(record, task)
    served = asked_parts(task, face)
    parts = tuple(part for part in asked.parts
                  if (part in served if part != "think" else mode == "explain" or part not in asked.optional))
    labels = tuple(asked.offered(face))
    about = next(iter(face.labelled_aus), None)
    scorable = {"au", "answer"} & set(parts) and not (asked.before and face.before is None)
    text = question(parts, labels, task=task, about=about) if scorable else ""
    return Question(face, task, parts, labels, text)
