import json

import pytest

from data_builders.reading import conversations
from data_builders.reading.cells import BadRow
from data_builders.reading.conversations import answer, objects, picture
from facevlm.config import ConfigError
from facevlm.record import Drop

ITEMS = [{"id": i, "text": "é] [{\"" * i, "more": [{"a": None}, 1.5]} for i in range(40)]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("write", [
    lambda items: json.dumps(items), lambda items: json.dumps(items, indent=2, ensure_ascii=False),
    lambda items: "\ufeff" + "\r\n".join(json.dumps(i) for i in items) + "\r\n",
])  # fmt: skip
def test_arrays_and_lines_are_read_whole_at_any_chunk(tmp_path, monkeypatch, chunk, write):
    monkeypatch.setattr(conversations, "_CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(write(ITEMS), encoding="utf-8", newline="")
    assert list(objects(path)) == ITEMS


def test_what_is_no_object_is_dropped_and_a_torn_file_ends_in_one_drop(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, 17, "x", null, [1], {"b": 2}, {"c": ', encoding="utf-8")
    found = list(objects(path))
    assert [i for i in found if isinstance(i, dict)] == [{"a": 1}, {"b": 2}]
    drops = [i for i in found if isinstance(i, Drop)]
    assert [d.reason for d in drops] == ["bad row"] * 5
    assert drops[0].id == "a.json object 2" and "not JSON from here on" in drops[-1].detail


def test_an_array_that_is_cut_off_between_two_objects_is_not_whole(tmp_path):
    (tmp_path / "a.json").write_text('[{"a": 1},')
    found = list(objects(tmp_path / "a.json"))
    assert found[0] == {"a": 1} and "cut off" in found[1].detail and len(found) == 2


@pytest.mark.parametrize("text", ["", " \n", "[]", " [ ]\n"])
def test_empty_files_hold_nothing(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert list(objects(tmp_path / "a.json")) == []


def test_an_object_without_end_is_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(conversations, "_CHUNK", 16)
    monkeypatch.setattr(conversations, "_LARGEST", 64)
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 1000 + '"}, {"b": 2}]')
    (found,) = objects(tmp_path / "a.json")
    assert isinstance(found, Drop)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(ConfigError, match="not UTF-8"):
        list(objects(tmp_path / "a.json"))
    with pytest.raises(ConfigError, match="cannot read"):
        list(objects(tmp_path / "b.json"))


def test_pictures_and_answers():
    assert picture({"image": "/a\\b.jpg "}) == "a/b.jpg"
    assert picture({"image": None, "video": ["./v.mp4"]}) == "v.mp4"
    turns = [{"from": "human", "value": "?"}, {"from": "gpt", "value": " "}, {"from": "gpt", "value": " Yes. "}]
    assert answer({"conversations": turns}) == "Yes."
    assert answer({"conversation": [{"role": "assistant", "content": "No."}]}) == "No."


@pytest.mark.parametrize("item", [{}, {"image": ""}, {"image": ["a", "b"]}, {"image": 3}])
def test_objects_without_one_picture(item):
    with pytest.raises(BadRow, match="no media"):
        picture(item)


@pytest.mark.parametrize("turns", [None, "gpt", [], [{"from": "human", "value": "a"}, 1]])
def test_objects_without_an_answer(turns):
    with pytest.raises(BadRow, match="no answer"):
        answer({"conversations": turns})
