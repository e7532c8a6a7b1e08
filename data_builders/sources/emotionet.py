"""EmotioNet: about 950,000 faces from the web with machine-labelled action units, 25,000 labelled by hand.

Paper: Fabian Benitez-Quiroz, Srinivasan & Martinez, "EmotioNet: An accurate, real-time algorithm for the automatic
annotation of a million facial expressions in the wild", CVPR 2016. Licence: research only. Get it: by request to the
authors, who hand out lists of addresses; the pictures are yours to download, and many are gone.

Tree
    emotioNet_challenge_files_server_challenge_1.2_aws/dataFile_0001.txt … dataFile_1000.txt
    images/…/N_0000000001_00001.jpg   your downloads, in any folders below `images`, named by the address's last part

Labels: a line has an address, a second one, and 60 values; value k is AU k: 1 present, 0 absent, 999 not coded. Only
the AUs that the owners coded are read (`CODED`): a 0 elsewhere says nothing. dataFile_1000.txt was labelled by hand,
and is the challenge's validation set: here "test", as no other labels were given out. Records of the other files say
in `aus_by` that a program labelled them. Known faults: dead addresses; no subjects; no face boxes.

One line:  http://host/Images/N_01/N_01_00001.jpg http://host/a.jpg 1 0 999 0 …
    -> FaceRecord(id="N_01_00001.jpg", media="images/N_01/N_01_00001.jpg", split="train", aus={1: 1, 2: 0, 4: 0, …},
                  aus_by="emotionet-2016")
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative, walk
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

CODED = (1, 2, 4, 5, 6, 9, 10, 12, 15, 17, 18, 20, 24, 25, 26, 28, 43, 51, 52, 53, 54, 55, 56)
_BY_HAND = "dataFile_1000.txt"
_VALUES = {"1": 1.0, "0": 0.0, "999": None}


def read(root: Path, *, pictures: str = "images", automatic: bool = True) -> Iterator[FaceRecord | Drop | Note]:
    """The records of the pictures that were downloaded.

    Args:
        pictures: the folder of the downloads, relative to the root.
        automatic: read the lists that a program labelled, not only the one labelled by hand.

    Raises:
        ConfigError: no list, or no such folder.
    """
    name = "dataFile_*.txt" if automatic else _BY_HAND
    lists = find(root, name, f"*/{name}", what=f"EmotioNet's {name}").parent
    if not (root / pictures.strip("/")).is_dir():
        raise ConfigError(f"{root / pictures} is not a folder; set the option `pictures` to where EmotioNet's "
                          "pictures were downloaded, relative to `root`")  # fmt: skip
    downloads = _downloads(root, pictures)
    for labels in sorted(lists.glob(name)):
        yield from _list(labels, downloads, relative(labels, root))


def _downloads(root: Path, pictures: str) -> dict[str, str]:
    """Paths by lower-case name, "" for a name that lies in several folders."""
    found: dict[str, str] = {}
    for path in walk(root, pictures):
        name = path.rsplit("/", 1)[-1].lower()
        found[name] = "" if name in found else path
    return found


def _list(labels: Path, downloads: Mapping[str, str], where: str) -> Iterator[FaceRecord | Drop]:
    by_hand = labels.name == _BY_HAND
    for number, row in words(labels):
        if number == 1 and row[0].lower() == "url":
            continue
        address = row[0].strip("'\"")
        name = unquote(address.partition("?")[0].rsplit("/", 1)[-1])
        try:
            aus = _aus(row)
            if not (media := downloads.get(name.lower())):
                raise BadRow("not downloaded" if media is None else "ambiguous picture",
                             address if media is None else f"{name} lies in several folders")  # fmt: skip
            yield FaceRecord(
                id=name, source="emotionet", media=media, split="test" if by_hand else "train", aus=aus,
                aus_by=None if by_hand else "emotionet-2016", licence=SOURCE.licence,
            )  # fmt: skip
        except BadRow as e:
            yield Drop(name or f"{where}, line {number}", e.reason, e.detail)


def _aus(row: Sequence[str]) -> dict[int, float]:
    # From the end: the second address may be missing or have blanks in it.
    values = row[-60:]
    if len(row) < 61 or "/" not in row[0] or any(cell in _VALUES for cell in row[1:-60]):
        raise BadRow("bad row", f"{len(row)} cells; two addresses and 60 values are wanted")
    try:
        found = {n: _VALUES[values[n - 1]] for n in CODED}
    except KeyError as e:
        raise BadRow("bad AU value", f"{e} is none of 1, 0, 999") from e
    aus = {n: value for n, value in found.items() if value is not None}
    if not aus:
        raise BadRow("unlabelled", "no AU was coded")
    return aus


SOURCE = Source(
    name="emotionet",
    title="EmotioNet",
    read=read,
    tasks=("au",),
    licence="EmotioNet terms: research only",
    needs="the dataFile_*.txt lists, and a folder with the pictures you downloaded",
    layout="recalled",
)
