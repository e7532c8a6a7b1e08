"""BAH: 1,118 webcam videos of 224 people who answer seven questions, ambivalent or hesitant or not.

Paper: González-González et al., "BAH Dataset for Ambivalence/Hesitancy Recognition in Videos for Behavioural Change",
2025. Licence: EULA, research; videos must not be passed on. Get it: by a form and a signed EULA; the lists lie in the
authors' code repository.

Tree, videos as the authors ship them, lists from their repository
    Videos/82711/Visite_1/82711_Question_1_2024-11-18_16-07-42_Video.mp4
    dataset-splits/video-level/BAH_DB/split-0/{train,val,test}.txt   (older: folds/BAH_DB/split-0)

Labels: lines of path, label and transcript, separated by commas: 1 with ambivalence or hesitancy, 0 without. The
transcript is not quoted and holds commas; paths hold blanks. The person is the second folder, and the splits are by
person. Known faults: a later release has more videos than these lists. Which seconds show it (time spans and frames)
is not read here, nor are the cues. Metric: macro F1.

One row:  Videos/82593/Visite_1/82593_Question_5_2024-10-02 16-21-02_Video.mp4,0,Eat.
    -> FaceRecord(id="82593_Question_5_2024-10-02 16-21-02_Video", subject="82593", split="test",
                  media="Videos/82593/Visite_1/82593_Question_5_2024-10-02 16-21-02_Video.mp4",
                  attributes={"ambivalence": "no", "transcript": "Eat."})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.clips import folder_path
from data_builders.reading.files import find
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_LABELS = {"0": "no", "1": "yes"}
_PLACES = ("dataset-splits/video-level/BAH_DB/split-0", "video-level/BAH_DB/split-0", "folds/BAH_DB/split-0",
           "folds/split-0", "folds/fold-0", "split-0", "*/dataset-splits/video-level/BAH_DB/split-0")  # fmt: skip


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of BAH at the level of videos.

    Raises:
        ConfigError: the lists or the videos are not there.
    """
    lists = find(root, *_PLACES, what="BAH's folder of lists (split-0, from the authors' code repository)")
    base = folder_path(find(root, "Videos", "BAH_DB/Videos", "*/Videos", what="BAH's folder Videos").parent, root)
    paths = {split: find(lists, f"{split}.txt", what=f"BAH's list {split}.txt") for split in _SPLITS}
    for split, path in paths.items():
        for number, (line,) in words(path, delimiter="\n"):
            try:
                yield _record(line.split(",", 2), base, split)
            except BadRow as e:
                yield Drop(f"{path.name} line {number}", e.reason, e.detail)


def _record(row: list[str], base: str, split: Split) -> FaceRecord:
    parts = row[0].split("/")
    if len(row) < 2 or len(parts) < 3 or parts[0] != "Videos":
        raise BadRow("bad row", f"{','.join(row)[:80]!r} is not a path Videos/person/…, a label and a transcript")
    label = row[1].strip()
    if label not in _LABELS:
        raise BadRow("unknown label", f"{label!r} is neither 0 nor 1")
    attributes = {"ambivalence": _LABELS[label]}
    if transcript := "".join(row[2:]).strip():
        attributes["transcript"] = transcript
    return FaceRecord(
        id=parts[-1].rpartition(".")[0] or parts[-1], source="bah", media=base + row[0], split=split,
        subject=parts[1], attributes=attributes, licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="bah",
    title="BAH",
    read=read,
    tasks=("attributes",),
    licence="BAH EULA: research, no passing on",
    needs="Videos, and the authors' dataset-splits/video-level/BAH_DB/split-0",
    published={"train": 616, "val": 110, "test": 392},
    layout="labels",
)
