"""What eval.score is told, and the faces and the truth that this names."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eval.elsewhere import gold
from eval.elsewhere.given import Source
from eval.elsewhere.matching import Match, Missing, Unknown
from eval.frame.benchmark import face_of
from eval.frame.job import EvalConfig, Job, find, of_split, read_all, select
from facevlm.answer import Mode
from facevlm.config import ConfigError, doc
from facevlm.record import FaceRecord, RecordSet


@dataclass(frozen=True)
class ScoreConfig:
    predictions: list[str] = doc("a file of predictions: .jsonl, .json, .csv, .tsv, .xlsx or .npz; may stand alone on "
                                 "the command line")  # fmt: skip
    benchmark: str = doc("a name of docs/evaluation.md, or package.module:attribute of your own Benchmark")
    out: str = doc("folder to write to")
    records: str | None = doc("folder of records made by data_builders.build; null = the file has columns of truth, "
                              "for a quick look", default=None)  # fmt: skip
    protocol: str | None = doc("how it is scored, a protocol of the benchmark; null = its first", default=None)
    au_protocol: str | None = doc("AUs and threshold of facevlm.vocab in place of the protocol's own", default=None)
    split: str | None = doc("which split of the records; null = what the protocol tests", default=None)
    fold: int | None = doc("test only the people of this fold, from 1; null = of all folds", default=None)
    reader: str = doc("how answers are read, a name of docs/evaluation.md; name+name: where texts are found, how they "
                      "are read", default="strict")  # fmt: skip
    mode: Mode = doc("what the model was asked where the protocol leaves it open: reasons + AUs + emotion, AUs + "
                     "emotion, or emotion alone", default="fast")  # fmt: skip
    model: str | None = doc("whose predictions they are; null = the file's name", default=None)
    match: Match = doc("how rows and faces are matched; row = by number or order, which nothing checks", default="id")
    missing: Missing = doc("faces without a prediction: wrong = they count as wrong, skip = left out",
                           default="refuse")  # fmt: skip
    unknown: Unknown = doc("predictions about faces that the records do not have", default="refuse")
    columns: dict[str, str] = doc("column of the file by what it holds: id, text, answer, aus, valence, arousal, "
                                  "subject, gold, gold_aus …; others are found by their names",
                                  default_factory=dict)  # fmt: skip
    sheet: str | None = doc("of an xlsx file; null = the only one", default=None)
    label_ids: str | None = doc("label set of facevlm.vocab whose numbers the labels of a table are", default=None)
    label_set: str | None = doc("label set of the truth, where no records are given and the protocol names none",
                                default=None)  # fmt: skip
    intensities: bool = doc("columns of AUs hold intensities 0-5, not 0 and 1", default=False)
    bootstrap: int = doc("resamples for the 95 % intervals; 0 = none", default=1000)
    seed: int = doc("of the resamples and of the gallery", default=0)
    gallery: int = doc("faces shown in the report; 0 = none, for pictures that must not be copied", default=24)

    def __post_init__(self) -> None:
        if len(self.predictions) != 1:
            raise ConfigError(f"{len(self.predictions)} files of predictions given; one is scored at a time")
        if self.bootstrap < 0 or self.gallery < 0:
            raise ConfigError(f"bootstrap={self.bootstrap}, gallery={self.gallery}: both start at 0")

    @property
    def path(self) -> Path:
        """The file of predictions."""
        return Path(self.predictions[0])

    def evaluation(self) -> EvalConfig:
        """The same as eval.run would have been told it: what eval.compare and eval.pool read from run.json."""
        return EvalConfig(
            benchmark=self.benchmark, records=self.records or "", model=self.model or self.path.stem, out=self.out,
            protocol=self.protocol, au_protocol=self.au_protocol, split=self.split, fold=self.fold, mode=self.mode,
            reader=self.reader, bootstrap=self.bootstrap, seed=self.seed, gallery=self.gallery,
        )  # fmt: skip


class Truths(NamedTuple):
    """The faces to score, and the other faces of the same records."""

    job: Job
    others: list[FaceRecord]


def open_truth(config: ScoreConfig, source: Source) -> Truths:
    """The questions that eval.run would ask, with the parts that can be read from the file.

    Raises:
        ConfigError: no records, those of another data set, no truth in the file, or nothing in it that is scored.
    """
    evaluation = config.evaluation()
    benchmark, protocol = find(evaluation)
    if config.records is None:
        made = gold.records(source.outputs.rows, source.names, source.columns, benchmark, protocol, config.label_set)
        protocol, faces = gold.unchecked(protocol), RecordSet(made, Path())
        everyone = made
    else:
        whole = read_all(evaluation, benchmark)
        faces, everyone = of_split(evaluation, protocol, whole), whole.records
    asked, skipped = select(evaluation, benchmark, protocol, faces.records)
    if not asked:
        why = "; ".join(f"{n} {reason}" for reason, n in skipped.items())
        raise ConfigError(f"none of the {len(faces.records)} faces can be scored by benchmark {benchmark.name}, "
                          f"protocol {protocol.name}: {why}")  # fmt: skip
    narrow = [question._replace(parts=source.parts(question)) for question in asked]
    kept = [question for question in narrow if {"au", "answer"} & set(question.parts)]
    if not kept:
        there = f"the columns {', '.join(map(repr, source.outputs.columns))} hold none of it" if source.table else \
            f"reader {config.reader} reads {' and '.join(source.reader.parts)}"  # fmt: skip
        raise ConfigError(f"{' and '.join(part for part in asked[0].parts if part != 'think')} of task "
                          f"{asked[0].task} is scored, but {there}")  # fmt: skip
    tested = {question.key for question in asked} | {(q.record.source, face_of(q.record.id)) for q in asked}
    others = [record for record in everyone if (record.source, record.id) not in tested]
    return Truths(Job(evaluation, benchmark, protocol, faces, kept, skipped, {}), others)
