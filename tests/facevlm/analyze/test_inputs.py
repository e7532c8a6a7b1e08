"""What is found in folders, globs, lists, tables and archives, those made to do harm among them."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facevlm.analyze import Config, archives
from facevlm.analyze.inputs import find, listing
from facevlm.analyze.tables import columns
from facevlm.config import ConfigError
from facevlm.images import ImageError, decode

Make = Callable[..., Config]


def png(shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def shades(config: Config) -> dict[str, int | str]:
    """Name -> the grey of the picture, or the reason why there is none."""
    found: dict[str, int | str] = {}
    for item in listing(find(config.inputs), config):
        try:
            seen = item.read().picture
            picture = seen if isinstance(seen, Image.Image) else decode(seen)
            found[item.name] = picture.getpixel((3, 3))[0]  # type: ignore[index]
        except ImageError as e:
            found[item.name] = e.reason
    return found


@pytest.fixture
def only(tmp_path: Path) -> Callable[..., Config]:
    """A config over some inputs below tmp_path."""

    def make(*names: str, **keys: object) -> Config:
        return Config([str(tmp_path / name) for name in names], "tiny", "out.jsonl", **keys)  # type: ignore[arg-type]

    return make


def save(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# -- folders, globs, lists


def test_folder_gives_its_pictures_in_the_order_of_sorted_paths(tmp_path: Path, only: Make) -> None:
    for name in ("f/b.png", "f/b/z.png", "f/a/1.png", "f/a.png", "f/._a.png", "f/notes.txt", "f/B.PNG"):
        save(tmp_path / name, png())
    names = list(shades(only("f")))
    assert names == [str(p) for p in sorted(map(Path, names))]
    assert [Path(n).relative_to(tmp_path / "f").as_posix() for n in names] == ["B.PNG", "a/1.png", "a.png", "b/z.png",
                                                                             "b.png"]  # fmt: skip


def test_glob_gives_what_it_matches_and_nothing_twice(tmp_path: Path, only: Make) -> None:
    for i in range(3):
        save(tmp_path / f"f/{i}.png", png(i))
    assert list(shades(only("f/[01].png", "f/0.png")).values()) == [0, 1]
    assert list(shades(only("f/2.png", "f")).values()) == [0, 1, 2]


def test_glob_that_matches_nothing_and_missing_input_are_refused(only: Make) -> None:
    with pytest.raises(FileNotFoundError, match=r"f/\*\.png matches no file"):
        find(only("f/*.png").inputs)
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        find(only("gone").inputs)


def test_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path, only: Make) -> None:
    save(tmp_path / "a[1].png", png(7))
    assert list(shades(only("a[1].png")).values()) == [7]


def test_list_names_pictures_from_its_own_folder_or_the_root(tmp_path: Path, only: Make) -> None:
    save(tmp_path / "lists/l.txt", f"a.png\n\ngone.png\n{tmp_path}/abs.png\n".encode())
    save(tmp_path / "lists/a.png", png(1))
    save(tmp_path / "other/a.png", png(2))
    save(tmp_path / "abs.png", png(3))
    assert list(shades(only("lists/l.txt")).values()) == [1, "file missing", 3]
    assert list(shades(only("lists/l.txt", root=str(tmp_path / "other"))).values()) == [2, "file missing", 3]


def test_inputs_of_all_kinds_in_one_call(tmp_path: Path, only: Make) -> None:
    save(tmp_path / "f/a.png", png(1))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("b.png", png(2))
    pq.write_table(pa.table({"image": [png(3)]}), tmp_path / "c.parquet")
    save(tmp_path / "g/d.png", png(4))
    save(tmp_path / "d.lst", b"g/d.png\n")
    assert list(shades(only("b.zip", "f", "d.lst", "c.parquet")).values()) == [2, 1, 4, 3]


# -- tables


@pytest.mark.parametrize("kind", ["bytes", "struct", "paths"])
def test_table_gives_the_pictures_of_its_column(tmp_path: Path, only: Make, kind: str) -> None:
    save(tmp_path / "p/1.png", png(1))
    given = {"bytes": [png(1), None, b"x"], "paths": ["p/1.png", None, "p/2.png"],
             "struct": [{"bytes": png(1), "path": "x"}, None, {"bytes": None, "path": "p/2.png"}]}[kind]  # fmt: skip
    pq.write_table(pa.table({"face": given, "label": [1, 2, 3]}), tmp_path / "t.parquet")
    found = shades(only("t.parquet", column="face"))
    last = "not an image" if kind == "bytes" else "file missing"
    assert found == {f"{tmp_path}/t.parquet#row={i}": v for i, v in enumerate([1, "no picture", last])}


def test_rows_of_a_table_that_nobody_reads_are_passed_over(tmp_path: Path, only: Make) -> None:
    pq.write_table(pa.table({"image": [png(i) for i in range(10)]}), tmp_path / "t.parquet", row_group_size=4)
    config = only("t.parquet")
    items = listing(find(config.inputs), config)
    read = {i: item.read().picture for i, item in enumerate(items) if i in (2, 5, 9)}
    assert read == {i: png(i) for i in read} and len(read) == 3


def test_column_that_is_not_there_or_holds_no_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"face": [b"x"], "n": [1]}), path)
    with pytest.raises(ConfigError, match="no column 'image', name one as `column`: face, n"):
        columns([path], "image", [])
    with pytest.raises(ConfigError, match="'n' of .* is int64; wanted are bytes"):
        columns([path], "n", [])
    with pytest.raises(ConfigError, match="no table among the inputs has column 'm'"):
        columns([path], "face", ["n", "m"])
    with pytest.raises(ConfigError, match="column 'face' holds bytes"):
        columns([path], "face", ["face"])


def test_file_that_is_no_table_is_an_item_that_says_so(tmp_path: Path, only: Make) -> None:
    save(tmp_path / "t.parquet", b"nothing")
    assert list(shades(only("t.parquet")).values()) == ["damaged table"]


def test_damaged_table_costs_its_own_rows_alone(tmp_path: Path, only: Make) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [os.urandom(500) + png(i) for i in range(6)]}), path, row_group_size=3,
                   compression="zstd", use_dictionary=False)  # fmt: skip
    group = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[group.data_page_offset : group.data_page_offset + 40] = bytes(40)
    path.write_bytes(data)
    assert list(shades(only("t.parquet")).values()) == ["not an image"] * 3 + ["damaged table"] * 3


# -- archives


def tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_tar_gives_its_pictures_and_refuses_what_leads_elsewhere(tmp_path: Path, only: Make, name: str) -> None:
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    plain = [tarfile.TarInfo(n) for n in ("b/1.png", "b/1.json", "/abs.png", "b/../../up.png", "a/2.png")]
    members = [(info, png(i)) for i, info in enumerate(plain)]
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.rpartition(".")[2], "w")
    tar(tmp_path / name, [*members[:3], (link, b""), *members[3:]], mode)
    found = {key.partition("#")[2]: value for key, value in shades(only(name)).items()}
    assert found == {"b/1.png": 0, "/abs.png": "unsafe name", "link.png": "not a file",
                     "b/../../up.png": "unsafe name", "a/2.png": 4}  # fmt: skip


def test_zip_gives_its_pictures_and_refuses_what_leads_elsewhere(tmp_path: Path, only: Make) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i, name in enumerate(("1.png", "d/", "..\\up.png", "C:\\abs.png", "__MACOSX/._1.png", "d/2.png")):
            archive.writestr(name, png(i))
    found = {key.partition("#")[2]: value for key, value in shades(only("a.zip")).items()}
    assert found == {"1.png": 0, "..\\up.png": "unsafe name", "C:\\abs.png": "unsafe name", "d/2.png": 5}


def test_member_that_unpacks_to_more_than_a_picture_is_refused(tmp_path: Path, only: Make,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(archives, "_MOST", 5000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.png", bytes(10_000))
        archive.writestr("liar.png", bytes(10_000))
        archive.writestr("ok.png", png(3))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 24 : entry + 28] = (100).to_bytes(4, "little")  # the second one claims to unpack to 100 bytes
    save(tmp_path / "a.zip", bytes(data))
    members = [(tarfile.TarInfo("big.png"), bytes(10_000)), (tarfile.TarInfo("ok.png"), png(3))]
    tar(tmp_path / "b.tar.gz", members, "w:gz")
    assert list(shades(only("a.zip")).values()) == ["file too large", "damaged member", 3]
    assert list(shades(only("b.tar.gz")).values()) == ["file too large", 3]


def test_encrypted_member_is_refused(tmp_path: Path, only: Make) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png(1))
        archive.writestr("2.png", png(2))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    save(tmp_path / "a.zip", bytes(data))
    assert list(shades(only("a.zip")).values()) == ["encrypted", 2]


def test_damaged_member_of_a_zip_costs_itself_alone(tmp_path: Path, only: Make) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png(1))
        archive.writestr("2.png", png(2))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[60] ^= 255
    save(tmp_path / "a.zip", bytes(data))
    assert list(shades(only("a.zip")).values()) == ["damaged member", 2]


def test_damaged_archive_ends_with_a_row_that_says_so(tmp_path: Path, only: Make) -> None:
    members = [(tarfile.TarInfo(f"{i}.png"), png(i)) for i in range(3)]
    whole = tar(tmp_path / "a.tar", members).read_bytes()
    save(tmp_path / "cut.tar", whole[: 1024 + 300])  # inside the header of the second
    save(tmp_path / "bad.tar", whole[:1024] + b"x" * 512 + whole[1536:])
    save(tmp_path / "cut.tar.gz", gzip.compress(whole)[:-300])
    save(tmp_path / "a.zip", b"PK no zip")
    save(tmp_path / "b.tar", b"no tar")
    found = shades(only("cut.tar", "bad.tar", "cut.tar.gz", "a.zip", "b.tar"))
    reasons = {Path(key.partition("#")[0]).name: value for key, value in found.items() if isinstance(value, str)}
    assert set(reasons) == {"cut.tar", "bad.tar", "cut.tar.gz", "a.zip", "b.tar"}
    assert set(reasons.values()) == {"damaged archive"}
    assert found[f"{tmp_path}/cut.tar#0.png"] == found[f"{tmp_path}/bad.tar#0.png"] == 0


def test_header_that_claims_megabytes_is_not_read(tmp_path: Path, only: Make) -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type = tarfile.GNUTYPE_LONGNAME
    tar(tmp_path / "a.tar.gz", [(tarfile.TarInfo("0.png"), png(0)), (long, bytes(3 * 2**20))], "w:gz")
    assert list(shades(only("a.tar.gz")).values()) == [0, "damaged archive"]
