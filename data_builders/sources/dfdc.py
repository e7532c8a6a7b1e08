"""DFDC: about 119,000 training clips of actors, most with a swapped face, of the Deepfake Detection Challenge.

Paper: Dolhansky et al., "The DeepFake Detection Challenge (DFDC) Dataset", 2020; its preview: Dolhansky et al., 2019.
Licence: DFDC terms, research. Get it: from the owners' page, by account.

Tree of the challenge                                              of the preview
    [train/]dfdc_train_part_0/metadata.json, aaqaifqrwn.mp4, …         dataset.json
    test/labels.csv, aalscayrfi.mp4, …                                 original_videos/…/….mp4
    train_sample_videos/metadata.json, … (of Kaggle)                   method_A/…/….mp4, method_B/…/….mp4
    frames/<video>/ beside the label file, as other tools leave them, are read where there are no videos.

metadata.json: {video: {label REAL or FAKE, split, original}}. labels.csv: filename,label (0 real, 1 fake).
dataset.json: {video: {label real or fake, set, target_id, swapped_id}} (the ids are recalled, and may lack). Known
faults: the challenge names no actors, and does not say which of its methods made a fake; the training parts have no
val.

Who is kept apart: `subject` is the part, as its actors are the smallest groups that the files tell of; where only one
part is there, it is the original video. In the preview it is the group of actors that swaps tie together. To have val
and test drawn from the training parts, set options.split=drawn.

One row:  "aaqaifqrwn.mp4": {"label": "FAKE", "split": "train", "original": "fufcmupzen.mp4"}
    -> FaceRecord(id="dfdc_train_part_0/aaqaifqrwn", media="dfdc_train_part_0/aaqaifqrwn.mp4", split="train",
                  subject="dfdc_train_part_0", attributes={"authenticity": "fake"})
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.deepfakes import clips, groups, json_file
from data_builders.reading.files import find_any, relative
from data_builders.reading.rows import columns, require, rows
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_LABELS = {"real": "real", "fake": "fake", "0": "real", "1": "fake"}


def read(root: Path, *, split: Literal["official", "drawn"] = "official") -> Iterator[FaceRecord | Drop | Note]:
    """The records of the challenge or of its preview, whichever the root holds.

    Args:
        split: official = training parts train, test folder test; drawn = training parts get none, so that the build
            draws one by part.

    Raises:
        ConfigError: neither is there, or a label file cannot be read.
    """
    if (preview := find_any(root, "dataset.json", "*/dataset.json")) is not None:
        yield Note(f"the preview is read, from {relative(preview, root)}")
        yield from _preview(root, preview)
        return
    parts = sorted({path.parent for depth in ("", "*/", "*/*/") for path in root.glob(f"{depth}metadata.json")})
    tests = sorted(path for depth in ("", "*/") for path in root.glob(f"{depth}labels.csv"))
    if not parts and not tests:
        raise ConfigError(f"{root} has neither metadata.json of training parts, nor test/labels.csv, nor the "
                          "preview's dataset.json. Set `root` to the folder that holds them")  # fmt: skip
    for part in parts:
        yield from _part(root, part, split == "drawn", alone=len(parts) == 1)
    for path in tests:
        yield from _test(root, path)


def _part(root: Path, folder: Path, drawn: bool, alone: bool) -> Iterator[FaceRecord | Drop]:
    name = relative(folder, root)
    there = clips(root, name)
    for video, facts in _entries(folder / "metadata.json"):
        stem = video.rpartition(".")[0]
        try:
            side = _SPLITS.get(str(facts.get("split") or "train"))
            if side is None:
                raise BadRow("unknown split", f"{facts.get('split')!r} is none of {', '.join(_SPLITS)}")
            original = str(facts.get("original") or video).rpartition(".")[0]
            yield _record(name, stem, there.get(stem, f"{name}/{video}"), facts.get("label"), "" if drawn else side,
                          original if alone else name)  # fmt: skip
        except BadRow as e:
            yield Drop(f"{name}/{stem}", e.reason, e.detail)


def _test(root: Path, path: Path) -> Iterator[FaceRecord | Drop]:
    name = relative(path.parent, root)
    there, side = clips(root, name), _SPLITS.get(path.parent.name.lower(), "test")
    require(path, ("filename", "label"), columns(path))
    for row in rows(path, ("filename", "label")):
        if isinstance(row, Drop):
            yield row
            continue
        stem = row["filename"].rpartition(".")[0]
        try:
            yield _record(name, stem, there.get(stem, f"{name}/{row['filename']}"), row["label"], side, None)
        except BadRow as e:
            yield Drop(f"{name}/{stem}", e.reason, e.detail, side)


def _preview(root: Path, path: Path) -> Iterator[FaceRecord | Drop]:
    entries = _entries(path)
    above = relative(path.parent, root)
    before = "" if above == "." else f"{above}/"
    pairs = ((str(facts["target_id"]), str(facts["swapped_id"])) for _, facts in entries
             if facts.get("target_id") is not None and facts.get("swapped_id") is not None)  # fmt: skip
    people = groups(pairs)
    for video, facts in entries:
        try:
            side = _SPLITS.get(str(facts.get("set")))
            if side is None:
                raise BadRow("unknown split", f"set {facts.get('set')!r} is none of {', '.join(_SPLITS)}")
            target = facts.get("target_id")
            subject = None if target is None else people.get(str(target), str(target))
            method = video.partition("/")[0]
            yield _record(".", f"{before}{video}".rpartition(".")[0], f"{before}{video}", facts.get("label"), side,
                          subject, {"manipulation": method} if method.startswith("method_") else {})  # fmt: skip
        except BadRow as e:
            yield Drop(video, e.reason, e.detail)


def _entries(path: Path) -> list[tuple[str, dict[str, Any]]]:
    found = json_file(path)
    if not isinstance(found, dict) or not all(isinstance(facts, dict) for facts in found.values()):
        raise ConfigError(f"{path} is not an object of videos and what is known of them")
    return sorted(found.items())


def _record(folder: str, stem: str, media: str, label: Any, side: Split, subject: str | None,
            how: Mapping[str, str] | None = None) -> FaceRecord:  # fmt: skip
    authenticity = _LABELS.get(str(label).strip().lower())
    if authenticity is None:
        raise BadRow("unknown label", f"label {label!r} is neither real nor fake")
    return FaceRecord(
        id=stem if folder == "." else f"{folder}/{stem}", source="dfdc", media=media.removeprefix("./"), split=side,
        subject=subject, attributes={"authenticity": authenticity, **(how or {})}, licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="dfdc",
    title="DFDC",
    read=read,
    tasks=("real or fake",),
    licence="DFDC terms: research",
    needs="dfdc_train_part_*/metadata.json, test/labels.csv, or the preview's dataset.json",
)
