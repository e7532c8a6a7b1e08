"""Faces -> answers -> rows: the loop around the engine."""

from collections.abc import Iterable, Iterator, Sequence

from PIL.Image import Image

from facevlm.analyze.looking import End, Looked
from facevlm.analyze.rows import Row, chosen, said
from facevlm.analyze.settings import Job
from facevlm.generate import Generator, LabelProbs, Request


def answers(job: Job, generator: Generator, faces: Sequence[Image]) -> list[Row]:
    """What the model says of each face, as columns.

    In mode label an engine that can tell how likely each label is, is held to the labels: it reads the prompt and
    writes nothing. Any other engine and mode is asked for text.
    """
    requests = [Request((face,), job.text) for face in faces]
    if job.config.mode == "label" and isinstance(generator, LabelProbs):
        return [chosen(job, p) for p in generator.label_probs(requests, job.labels)]
    return [said(job, reply.text) for reply in generator.generate(requests, job.config.max_new_tokens)]


def analyze(job: Job, generator: Generator, looked: Iterable[Looked | End]) -> Iterator[tuple[End, list[Row]]]:
    """The rows of each part, in the order of its pictures."""
    rows: list[Row] = []
    asked: dict[int, Image] = {}
    for thing in looked:
        if isinstance(thing, Looked):
            asked |= {len(rows) + i: face for i, (_, face) in enumerate(thing.rows) if face is not None}
            rows += [row for row, _ in thing.rows]
        if asked and (isinstance(thing, End) or len(asked) >= job.config.batch):
            for i, found in zip(asked, answers(job, generator, list(asked.values())), strict=True):
                rows[i] |= found
            asked = {}
        if isinstance(thing, End):
            yield thing, rows
            rows = []
