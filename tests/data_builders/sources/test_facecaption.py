import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.sources.facecaption import SOURCE
from facevlm.config import ConfigError

URL = "https://x.org/p/a b.jpg?w=3"


@pytest.fixture
def root(tmp_path):
    def write(name, **columns):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return tmp_path

    write("data/0.parquet", url=[URL, "u1"], face_box=[[10.5, 20, 110, 140], [0, 0, 50, 50]],
          laion_caption=["A photo", ""], face_caption=["A woman smiles.", "A man."], local=["x/1", "x/2"])  # fmt: skip
    boxes = ["[50, 60, 40, 70]", "(1, 2, 3)", "", "{'x1': 1.0, 'y1': 2, 'x2': 30, 'y2': 4e1}", "[0.1, 0.2, 0.5, 0.6]",
             "none"]  # fmt: skip
    write("data/1.parquet", URL=["u2", "u3", "u4", "u5", "u6", "u7"], Face_Box=boxes,
          laion_caption=["a"] * 6, face_caption=["b", "c", "d", "e", "f", None], local=["y"] * 6)  # fmt: skip
    return tmp_path


def test_captions_and_boxes(root, take):
    found = take(SOURCE, root)
    one = found.records["0"]
    assert (one.media, one.box, one.caption) == ("images/000000000.jpg", (10.5, 20, 110, 140), "A woman smiles.")
    assert found.records["4"].box is None and found.records["5"].box == (1, 2, 30, 40)
    assert found.records["5"].media == "images/000000005.jpg", "the number goes on over the files"
    assert found.drops == [("2", "bad face box"), ("3", "bad face box"), ("6", "bad face box"), ("7", "unlabelled")]
    assert "recalled" in found.notes[0]


def test_other_captions_and_boxes(root, take):
    found = take(SOURCE, root, caption="laion", box_form="xywh")
    assert found.records["0"].caption == "A photo" and found.records["0"].box == (10.5, 20, 120.5, 160)
    assert found.records["2"].box == (50, 60, 90, 130)
    assert ("1", "unlabelled") in found.drops and ("7", "bad face box") in found.drops


@pytest.mark.parametrize(("name", "media"), [
    ("{file}/{index}.jpg", "1/3.jpg"), ("{shard:05d}/{shard:05d}{key:04d}.png", "00000/000000005.png"),
    ("{local}.jpg", "y.jpg"), ("{md5}", hashlib.md5(b"u5", usedforsecurity=False).hexdigest()), ("p/{last}", "p/u5"),
])  # fmt: skip
def test_names_of_downloads(root, take, name, media):
    assert take(SOURCE, root, name=name).records["5"].media == media


def test_the_last_part_of_an_address(root, take):
    assert take(SOURCE, root, name="{last}").records["0"].media == "a b.jpg"


@pytest.mark.parametrize("name", ["a.jpg", "{nothing}.jpg", "{row", "{}", "{row:q}", "{row.real}"])
def test_names_that_are_no_pattern_are_refused(root, take, name):
    with pytest.raises(ConfigError, match="name '"):
        take(SOURCE, root, name=name)


def test_other_files_are_refused(tmp_path, take):
    with pytest.raises(ConfigError, match=r"holds no \.parquet file"):
        take(SOURCE, tmp_path)
    pq.write_table(pa.table({"url": ["a"], "text": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="no clear column 'facebox'; it has url, text"):
        take(SOURCE, tmp_path)
