import json

import numpy as np
import openpyxl
import pytest

from eval.elsewhere.outputs import read_outputs
from facevlm.config import ConfigError


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path, **keys):
    return [dict(row) for row in read_outputs(path, **keys).rows]


TWO = [{"id": "1", "label": "sad"}, {"id": "2", "label": "happy"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id,label\n1,sad\n2,happy\n"), ("a.csv", "id;label\n1;sad\n2;happy"),
        ("a.csv", '\ufeffid,label\r\n"1","sad"\r\n2,happy\r\n\r\n'), ("a.tsv", "id\tlabel\n1\tsad\n2\thappy\n"),
        ("a.txt", "id\tlabel\n1\tsad\n2\thappy\n"),
        ("a.jsonl", '{"id": "1", "label": "sad"}\n\n{"id": "2", "label": "happy"}'), ("a.json", json.dumps(TWO)),
        ("a.json", json.dumps({"metrics": {"f1": 1}, "inference_results": TWO})),
        ("a.json", json.dumps({"1": {"label": "sad"}, "2": {"label": "happy"}})),
    ],
)  # fmt: skip
def test_tables_of_every_form_are_one_table(tmp_path, name, text):
    assert rows(put(tmp_path, name, text)) == TWO


def test_answers_by_id_and_excels_utf_16(tmp_path):
    assert rows(put(tmp_path, "a.json", '{"7": "a sad face"}')) == [{"id": "7", "text": "a sad face"}]
    assert rows(put(tmp_path, "a.csv", "id\tlabel\n1\tsad\n2\thappy\n".encode("utf-16"))) == TWO


def test_a_cell_may_hold_delimiters_and_line_ends(tmp_path):
    path = put(tmp_path, "a.csv", 'id,text\n1,"<think>a, b\nc</think>"\n')
    assert rows(path) == [{"id": "1", "text": "<think>a, b\nc</think>"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", '{"id": "1", "label": "sad"}\n{"id": "2", "la'), ("a.csv", "id,label\n1,sad\n2")],
)
def test_a_last_line_that_was_cut_off_is_told(tmp_path, name, text):
    found = read_outputs(put(tmp_path, name, text))
    assert len(found.rows) == 1 and "cut off" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"id": 1}\n{"id"\n{"id": 2}\n', "line 2 is not JSON"),
        ("a.jsonl", '{"id": 1}\n[2]\n', "line 2 holds"),
        ("a.json", '[{"id": 1}, {"i', "is it whole"),
        ("a.json", "[1, 2]", "neither a list of objects"),
        ("a.csv", "id,label\n1,sad,extra\n2,happy\n", "line 2 has 3 cells, the header has 2"),
        ("a.csv", "id,label\n1\n2,happy\n", "line 2 has 1 cells"),
        ("a.csv", "id,id\n1,2\n", "more than one column named 'id'"),
        ("a.csv", b"id,label\n1,\xff\n", "line 2 is not text in UTF-8"),
        ("a.csv", "", "holds no prediction"), ("a.csv", "id,label\n", "holds no prediction"),
        ("a.jsonl", "\n", "holds no prediction"), ("a.json", "", "holds no prediction"),
        ("a.pkl", "x", "of no form that is known"), ("a.xlsx", "no archive", "cannot be read as xlsx"),
        ("a.npz", "no archive", "cannot be read without running code"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, text, words):
    with pytest.raises(ConfigError, match=words):
        read_outputs(put(tmp_path, name, text))


def test_no_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        read_outputs(tmp_path / "gone.csv")


def book(path, **sheets):
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, cells in sheets.items():
        sheet = made.create_sheet(name)
        for row in cells:
            sheet.append(row)
    made.save(path)
    return path


def test_one_filled_sheet_is_the_sheet(tmp_path):
    path = book(tmp_path / "a.xlsx", empty=[], all=[["id", "label"], ["1", "sad"], [], ["2", "happy"]])
    assert rows(path) == TWO


def test_several_sheets_must_be_told_apart(tmp_path):
    path = book(tmp_path / "a.xlsx", one=[["id"], ["1"]], two=[["id", "label"], ["1", "sad"], ["2", "happy"]])
    with pytest.raises(ConfigError, match="several sheets: 'one', 'two'; set sheet"):
        read_outputs(path)
    assert rows(path, sheet="two") == TWO
    with pytest.raises(ConfigError, match="no sheet 'three'; it has 'one', 'two'"):
        read_outputs(path, "three")


def test_arrays_are_read_and_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", filenames=np.array(["1", "2"]), fileitems=np.array(["[sad]", "[]"]))
    found = rows(tmp_path / "a.npz")
    assert found == [{"filenames": "1", "fileitems": "[sad]"}, {"filenames": "2", "fileitems": "[]"}]
    np.savez(tmp_path / "b.npz", name2reason=np.array({"1": "sad"}, dtype=object))
    with pytest.raises(ConfigError, match="running code"):
        read_outputs(tmp_path / "b.npz")
