"""MER2023, MER2024 and MER2025: clips from Chinese films and series with six emotions, valence and words of any kind.

Papers: Lian et al., "MER 2023: Multi-label Learning, Modality Robustness, and Semi-Supervised Learning", ACM MM 2023;
"MER 2024: Semi-Supervised Learning, Noise Robustness, and Open-Vocabulary Multimodal Emotion Recognition", 2024;
"MER 2025: When Affective Computing Meets Large Language Models", 2025. Licence: EULA, academic, not to be passed on
nor edited. Get it: by a signed EULA.

Trees, as the organisers ship them
    MER2023  {train,test1,test2,test3}-label.csv      name,discrete,valence (test3: no valence)
             {train,test1,test2,test3}/sample_00000000.avi or .mp4
    MER2024  label-disdim.csv                         name,discrete,valence
             video-labeled/, video-unlabeled-with-test2noise/
             check-openset.csv                        name,openset (not needed)
    MER2025  track1_train_disdim.csv                  name,discrete,valence: 7,369
             track2_train_{ovmerd,mercaptionplus}.csv name,openset
             track3_train_{ovmerd,mercaptionplus}.csv name,reason
             track1_test_dis.csv                      name,discrete (published after the challenge; not needed)
             video/                                   132,171, most of them without labels

Labels: discrete is neutral, angry, happy, sad, worried or surprise; valence is a mean within -5 to 5 (from memory: set
valence_scale if yours differs) and is divided by that; openset is a Python list printed as text, and an empty list
means neutral; reason is a description of face, voice and words. Known faults: endings differ from part to part; test2
of MER2023 was made noisy on purpose; mercaptionplus was written by models and filtered, ovmerd was checked by people,
so that ovmerd goes first where both describe a clip; no person ids. Metrics: weighted F1; for the words, precision and
recall of sets after synonyms are grouped.

One row:  sample_00000007,"['excited', 'joyful', 'happy']"   in track2_train_ovmerd.csv
    -> FaceRecord(id="sample_00000007", media="video/sample_00000007.mp4", split="",
                  emotion_words=("excited", "joyful", "happy"), attributes={"described_by": "ovmerd"})
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.clips import video, videos
from data_builders.reading.files import find, find_any
from data_builders.reading.rows import columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

Part = Literal["train", "test1", "test2", "test3"]
Words = Literal["ovmerd", "mercaptionplus"]
Column = Literal["openset", "reason"]
_TRACKS: dict[Column, str] = {"openset": "track2", "reason": "track3"}
_SPLITS: dict[Part, Split] = {"train": "train", "test1": "test", "test2": "test", "test3": "test"}


@dataclass(frozen=True)
class _Labels:
    """What is known of one clip."""

    split: Split = ""
    emotion: str | None = None
    valence: float | None = None
    words: tuple[str, ...] = ()
    reason: str | None = None
    by: str | None = None


def read_2023(root: Path, *, parts: list[Part] | None = None,
              valence_scale: float = 5.0) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of MER2023.

    Args:
        parts: which of train, test1 (MULTI), test2 (NOISE) and test3 (SEMI); null = those that are there.
        valence_scale: the largest valence of the labels.

    Raises:
        ConfigError: a part that was asked for, or every part, is not there.
    """
    asked = parts or [p for p in _SPLITS if find_any(root, f"{p}-label.csv", f"*/{p}-label.csv") is not None]
    yield from _missing(sorted(set(_SPLITS) - set(asked)), parts is None)
    places = {part: (find(root, f"{part}-label.csv", f"*/{part}-label.csv", what=f"MER2023's {part}-label.csv"),
                     find(root, part, f"*/{part}", what=f"MER2023's folder {part}"))
              for part in asked or list(_SPLITS)}  # fmt: skip
    for part, (path, folder) in places.items():
        found = videos(root, folder)
        labels: dict[str, _Labels] = {}
        yield from _discrete(path, labels, _SPLITS[part], valence_scale)
        yield from _records(MER2023, labels, found, {"part": part})


def read_2024(root: Path, *, valence_scale: float = 5.0) -> Iterator[FaceRecord | Drop | Note]:
    """The records of MER2024's labelled clips; the build draws the splits, since the test labels are withheld.

    Args:
        valence_scale: the largest valence of the labels.

    Raises:
        ConfigError: label-disdim.csv or the videos are not there.
    """
    path = find(root, "label-disdim.csv", "*/label-disdim.csv", what="MER2024's label-disdim.csv")
    found = videos(root, find(root, "video-labeled", "*/video-labeled", what="MER2024's folder video-labeled"))
    labels: dict[str, _Labels] = {}
    yield from _discrete(path, labels, "", valence_scale)
    words = find_any(root, "check-openset.csv", "ov_store/check-openset.csv", "*/check-openset.csv")
    if words is None:
        yield Note("no emotions in free words: check-openset.csv is not there")
    else:
        yield from _texts(words, "openset", labels, "check-openset")
    yield from _records(MER2024, labels, found, {})


def read_2025(root: Path, *, words: list[Words] | None = None,
              valence_scale: float = 5.0) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of MER2025: every clip that has an emotion, words or a description.

    Args:
        words: whose words and descriptions, the first named going first; null = ovmerd, then mercaptionplus.
        valence_scale: the largest valence of the labels.

    Raises:
        ConfigError: track1_train_disdim.csv or the videos are not there.
    """
    path = find(root, "track1_train_disdim.csv", "*/track1_train_disdim.csv", what="MER2025's track1_train_disdim.csv")
    found = videos(root, find(root, "video", "*/video", what="MER2025's folder video"))
    test = find_any(path.parent, "track1_test_dis.csv")
    split: Split = "" if test is None else "train"
    yield Note("the test labels are not there: the splits are drawn" if test is None else "the test labels are there")
    labels: dict[str, _Labels] = {}
    yield from _discrete(path, labels, split, valence_scale)
    if test is not None:
        yield from _discrete(test, labels, "test", valence_scale)
    for name in words or ["ovmerd", "mercaptionplus"]:
        for column, track in _TRACKS.items():
            texts = find_any(path.parent, f"{track}_train_{name}.csv")
            if texts is None:
                yield Note(f"{track}_train_{name}.csv is not there")
            else:
                yield from _texts(texts, column, labels, name, split)
    yield from _records(MER2025, labels, found, {})


def _missing(parts: list[Part], told: bool) -> Iterator[Note]:
    if told and parts:
        yield Note(f"not there, and passed over: {', '.join(parts)}")


def _discrete(path: Path, labels: dict[str, _Labels], split: Split, scale: float) -> Iterator[Drop]:
    """Fills in emotion and valence."""
    names = columns(path)
    require(path, ("name", "discrete"), names)
    for row in rows(path):
        if isinstance(row, Drop):
            yield Drop(f"{path.name} {row.id}", row.reason, row.detail)
            continue
        try:
            valence = cells.number(row.get("valence", ""), (), "bad valence")
            if valence is not None and abs(valence) > scale:
                raise BadRow("bad valence", f"{valence:g} is outside -{scale:g} to {scale:g}; set valence_scale")
            emotion = cells.emotion(row["discrete"], "mer", {})
            if row["name"] in labels:
                raise BadRow("labelled twice", f"{path.name} gives a second label")
            labels[row["name"]] = _Labels(split, emotion, None if valence is None else valence / scale)
        except BadRow as e:
            yield Drop(row["name"], e.reason, e.detail)


def _texts(path: Path, column: Column, labels: dict[str, _Labels], by: str,
           split: Split = "") -> Iterator[Drop]:  # fmt: skip
    """Fills in words or descriptions, of clips that have none yet."""
    require(path, ("name", column), columns(path))
    fill: Callable[[_Labels, str], _Labels] = _with_words if column == "openset" else _with_reason
    for row in rows(path, ("name", column)):
        if isinstance(row, Drop):
            yield Drop(f"{path.name} {row.id}", row.reason, row.detail)
            continue
        before = labels.get(row["name"], _Labels(split))
        if before.by not in (None, by):
            continue
        try:
            labels[row["name"]] = replace(fill(before, row[column]), by=by)
        except BadRow as e:
            yield Drop(row["name"], e.reason, f"{path.name}: {e.detail}")


def _with_words(labels: _Labels, text: str) -> _Labels:
    return replace(labels, words=_openset(text))


def _with_reason(labels: _Labels, text: str) -> _Labels:
    return replace(labels, reason=text or None)


def _openset(text: str) -> tuple[str, ...]:
    """The words of a list that was printed as text; none means neutral.

    Raises:
        BadRow: the text is no list of words.
    """
    try:
        # Far longer than any list of words: a long nest of brackets would cost the parser its stack.
        found = ast.literal_eval(text) if len(text) < 5_000 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
        if text[:1] == "[" and text[-1:] == "]" and not any(mark in text[1:-1] for mark in "[]'\""):
            found = text[1:-1].split(",")  # some tools print lists without quotation marks
    if not isinstance(found, list | tuple) or not all(isinstance(word, str) for word in found):
        # An empty cell too: only an empty list was meant as neutral.
        raise BadRow("bad word list", f"{text[:80]!r} is not a list of words")
    return tuple(dict.fromkeys(word.strip() for word in found if word.strip())) or ("neutral",)


def _records(source: Source, labels: Mapping[str, _Labels], found: Mapping[str, str],
             attributes: Mapping[str, str]) -> Iterator[FaceRecord | Drop]:  # fmt: skip
    for name, known in labels.items():
        try:
            if known.emotion is None and known.valence is None and not known.words and not known.reason:
                raise BadRow("unlabelled", "neither an emotion nor valence, words or a description")
            media = video(found, name)
        except BadRow as e:
            yield Drop(name, e.reason, e.detail)
            continue
        yield FaceRecord(
            id=name, source=source.name, media=media, split=known.split, emotion=known.emotion,
            label_set="mer" if known.emotion else None, valence=known.valence, emotion_words=known.words,
            caption=known.reason, licence=source.licence,
            attributes={**attributes, **({"described_by": known.by} if known.by else {})},
        )  # fmt: skip


_LICENCE = "MER EULA: academic, no passing on, no editing"
MER2023 = Source(
    name="mer2023",
    title="MER2023",
    read=read_2023,
    tasks=("emotion", "va"),
    licence=_LICENCE,
    needs="train-label.csv and train, or test1 to test3 likewise",
)
MER2024 = Source(
    name="mer2024",
    title="MER2024",
    read=read_2024,
    tasks=("emotion", "va", "words"),
    licence=_LICENCE,
    needs="label-disdim.csv and video-labeled; check-openset.csv for the words",
)
MER2025 = Source(
    name="mer2025",
    title="MER2025",
    read=read_2025,
    tasks=("emotion", "va", "words", "caption"),
    licence=_LICENCE,
    needs="track1_train_disdim.csv and video; track2_train_*.csv for words, track3_train_*.csv for descriptions",
)
