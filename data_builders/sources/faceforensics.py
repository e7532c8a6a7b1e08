"""FaceForensics++: 1,000 videos from YouTube, each manipulated by five methods, and DeepFakeDetection's actors.

Paper: Rössler, Cozzolino, Verdoliva, Riess, Thies & Nießner, "FaceForensics++: Learning to Detect Manipulated Facial
Images", ICCV 2019. Licence: non-commercial research, on agreement. Get it: by form, then the owners' script.

Tree, as the script leaves it                                          or as a common mirror of c23 has it
    original_sequences/youtube/{raw,c23,c40}/videos/000.mp4                original/000.mp4
    original_sequences/actors/…/01__kitchen_pan.mp4                        Deepfakes/000_003.mp4
    manipulated_sequences/Deepfakes/…/000_003.mp4                          …
    manipulated_sequences/{Face2Face,FaceSwap,NeuralTextures,FaceShifter}/…
    manipulated_sequences/DeepFakeDetection/…/01_02__kitchen_pan__YVGY8LOK.mp4
    train.json, val.json, test.json, or in splits/: [["071", "054"], …]
    frames/, images/ or faces/ instead of videos/ (a folder of frames for each video) are read too.

Names: target_source, the target being the video and the source the face or the expression put into it. Both orders of
a pair are fakes. `authenticity` is real or fake, `manipulation` the method's folder.

Who is kept apart: a fake shows two people. Each id of YouTube is in one pair only, so `subject` is the pair, named by
its smaller id: the two originals and their fakes stay together, and the lists never part a pair. The 28 actors of
DeepFakeDetection are swapped with one another, and no list parts them: all go to one side, the option `actors`. Known
faults: some of the 1,000 sequences were cut from one video (conversion_dict.json), which the lists do not heed.

One row:  manipulated_sequences/Deepfakes/c23/videos/003_000.mp4     with ["000", "003"] in train.json
    -> FaceRecord(id="Deepfakes/003_000", media="manipulated_sequences/Deepfakes/c23/videos/003_000.mp4",
                  split="train", subject="000", attributes={"authenticity": "fake", "manipulation": "Deepfakes"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.deepfakes import clips, groups, json_file
from data_builders.reading.files import find, find_any, relative
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_ORIGINALS = ("youtube", "actors")
_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection")
_NAME = re.compile(r"(?P<target>\d{3})(?:_(?P<source>\d{3}))?|(?P<actor>\d{2})(?:_(?P<donor>\d{2}))?__.+")
_PARTS: tuple[Split, ...] = ("train", "val", "test")

Method = Literal["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection"]


def read(root: Path, *, compression: Literal["raw", "c23", "c40"] = "c23", methods: list[Method] | None = None,
         actors: Literal["train", "val", "test"] = "test") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of FaceForensics++: the originals, then each method's fakes.

    Args:
        compression: raw, lightly (c23) or heavily compressed (c40) videos.
        methods: the manipulations to read; None = all that are there.
        actors: the side of DeepFakeDetection's actors, whom no split can keep apart.

    Raises:
        ConfigError: no videos of that compression, a method that is not there, or lists that cannot be read.
    """
    parts = _parts(root, compression)
    if missing := [m for m in methods or () if m not in parts]:
        raise ConfigError(f"{root} has no {compression} videos of {', '.join(missing)}; it has {', '.join(parts)}")
    wanted = set(_METHODS if methods is None else methods)
    # The originals of the methods: DeepFakeDetection has its own.
    originals = {"actors" if method == "DeepFakeDetection" else "youtube" for method in wanted}
    chosen = {name: videos for name, videos in parts.items() if name in wanted | originals}
    yield Note(f"read at {compression}, or as they are where no folder names the compression: "
               f"{', '.join(f'{name} {len(videos)}' for name, videos in chosen.items())}")  # fmt: skip
    splits = _splits(root)
    if not splits:
        yield Note("train.json, val.json and test.json were not found: a split is drawn, and pairs are kept together "
                   "as the names of the fakes tell them")  # fmt: skip
    matches = (_NAME.fullmatch(stem) for videos in parts.values() for stem in videos)
    told: dict[tuple[str, str], Split] = {(m["target"], m["source"]): "" for m in matches if m and m["source"]}
    pairs = splits or told
    people = groups(pairs)
    sides = {person: split for pair, split in pairs.items() for person in pair}
    for name, videos in chosen.items():
        for stem, media in videos.items():
            try:
                yield _record(name, stem, media, people, sides, actors)
            except BadRow as e:
                yield Drop(f"{name}/{stem}", e.reason, e.detail)


def _parts(root: Path, compression: str) -> dict[str, dict[str, str]]:
    """youtube, actors, each method -> its clips, without those that are not there."""
    top = find(root, "manipulated_sequences", "original_sequences", "*/manipulated_sequences", "original", *_METHODS,
               what="FaceForensics++'s original_sequences and manipulated_sequences").parent  # fmt: skip
    base = "" if top == root else relative(top, root) + "/"
    if (top / "manipulated_sequences").is_dir() or (top / "original_sequences").is_dir():
        folders = {name: f"{base}original_sequences/{name}/{compression}" for name in _ORIGINALS}
        folders |= {name: f"{base}manipulated_sequences/{name}/{compression}" for name in _METHODS}
    else:
        folders = {"youtube": f"{base}original"} | {name: f"{base}{name}" for name in _METHODS}
    if found := {name: there for name, folder in folders.items() if (there := clips(root, folder))}:
        return found
    levels = sorted({path.name for path in top.glob("*_sequences/*/*") if path.is_dir()})
    raise ConfigError(f"{root} has no {compression} videos or frames; it has {', '.join(levels) or 'none'}: "
                      "set options.compression")  # fmt: skip


def _splits(root: Path) -> dict[tuple[str, str], Split]:
    """Pair of ids -> split; empty without the lists."""
    found: dict[tuple[str, str], Split] = {}
    for part in _PARTS:
        path = find_any(root, f"{part}.json", f"splits/{part}.json", f"dataset/splits/{part}.json", f"*/{part}.json")
        if path is None:
            continue
        pairs = json_file(path)
        if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise ConfigError(f"{path} is not a list of pairs of ids, such as [[\"071\", \"054\"]]")
        found |= {(str(a), str(b)): part for a, b in pairs}
    return found


def _record(name: str, stem: str, media: str, people: dict[str, str], sides: dict[str, Split], actors: Split
            ) -> FaceRecord:  # fmt: skip
    match, fake = _NAME.fullmatch(stem), name in _METHODS
    if match is None or fake != bool(match["source"] or match["donor"]):
        raise BadRow("bad name", f"{stem!r} is not the name of {'a fake' if fake else 'an original'}")
    attributes = {"authenticity": "fake", "manipulation": name} if fake else {"authenticity": "real"}
    subject, split = f"actor {match['actor']}", actors
    if match["target"]:
        target, source = match["target"], match["source"] or match["target"]
        if any(sides.values()) and (target not in sides or people.get(target) != people.get(source)):
            raise BadRow("unknown split", f"{stem} is no pair of train.json, val.json and test.json")
        subject, split = people.get(target, target), sides.get(target, "")
    return FaceRecord(
        id=f"{name}/{stem}", source="faceforensics", media=media, split=split, subject=subject, attributes=attributes,
        licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="faceforensics",
    title="FaceForensics++",
    read=read,
    tasks=("real or fake",),
    licence="FaceForensics++ terms: non-commercial research, no passing on",
    needs="original_sequences/, manipulated_sequences/ and train.json, val.json, test.json",
)
