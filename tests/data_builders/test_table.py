import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.sources import table
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

COLUMNS = {"subject": "who", "emotion": "emo", "aus": "AU{n}"}
WANTED = FaceRecord(id="a.jpg", source="table", media="a.jpg", subject="007", emotion="happiness", label_set="basic7",
                    aus={6: 2.0, 12: 0.0})  # fmt: skip


def drops(items):
    return [(item.id, item.reason) for item in items if isinstance(item, Drop)]


@pytest.mark.parametrize(("name", "cut"), [("labels.csv", ","), ("labels.tsv", "\t")])
def test_text_tables_give_records(read_table, name, cut):
    text = "file,who,emo,AU06,AU12,AU15\na.jpg,007,happy,2,0,\n".replace(",", cut)
    assert read_table(text, COLUMNS, name, label_set="basic7") == [WANTED]


def test_another_delimiter_is_taken_from_the_option(read_table):
    text = "file;who;emo;AU06;AU12;AU15\na.jpg;007;happy;2;0;\n"
    assert read_table(text, COLUMNS, label_set="basic7", delimiter=";") == [WANTED]


def test_jsonl_gives_records_and_an_absent_key_is_not_labelled(read_table):
    rows = [{"file": "a.jpg", "who": "007", "emo": "happy", "AU06": 2, "AU12": 0},
            {"file": "b.jpg", "who": "008", "AU15": 1.0, "AU12": None}]  # fmt: skip
    items = read_table("\n".join(map(json.dumps, rows)), COLUMNS, "labels.jsonl", label_set="basic7")
    assert items[0] == WANTED
    assert (items[1].emotion, items[1].aus) == (None, {15: 1.0})


def test_parquet_gives_records_and_nan_is_not_labelled(tmp_path):
    rows = {"file": ["a.jpg"], "who": ["007"], "emo": ["happy"], "AU06": [2.0], "AU12": [0.0], "AU15": [float("nan")]}
    pq.write_table(pa.table(rows), tmp_path / "l.parquet")
    columns = {"media": "file", **COLUMNS}
    assert list(table.read(tmp_path, labels="l.parquet", columns=columns, label_set="basic7")) == [WANTED]


def test_missing_codes_and_empty_cells_leave_an_au_out_and_zero_keeps_it(read_table):
    text = "file,AU1,AU2,AU4,AU6,AU12\na.jpg,9,,0,9.0,999\n"
    (item,) = read_table(text, {"aus": "AU{n}"}, au_missing=[9, 999])
    assert item.aus == {4: 0.0}


def test_aus_can_be_named_one_by_one_with_text_or_number_keys(read_table):
    (item,) = read_table("file,smile,parted\na.jpg,C,1\n", {"aus": {"12": "smile", 25: "parted"}})
    assert item.aus == {12: 3.0, 25: 1.0}


def test_blanks_byte_order_mark_and_windows_slashes_do_no_harm(read_table):
    (item,) = read_table("\ufefffile , AU12_r \nx\\a.jpg, 1.5 \n", {"aus": "AU{n}_r"}, media_pattern="pics/{}")
    assert (item.media, item.aus) == ("pics/x/a.jpg", {12: 1.5})


def test_boxes_come_as_corners_or_as_corner_and_size(read_table):
    text, columns = "file,a,b,c,d\na.jpg,10,20,30,50\n", {"box": ["a", "b", "c", "d"]}
    assert read_table(text, columns)[0].box == (10, 20, 30, 50)
    assert read_table(text, columns, box_form="xywh")[0].box == (10, 20, 40, 70)


@pytest.mark.parametrize("first", [0, 1])
def test_landmarks_are_counted_from_zero_or_one(read_table, first):
    names = [f"{axis}_{i}" for i in range(first, first + 68) for axis in "xy"]
    text = ",".join(["file", *names]) + "\n" + ",".join(["a.jpg", *map(str, range(136))]) + "\n"
    (item,) = read_table(text, {"landmarks": ["x_{i}", "y_{i}"]})
    assert item.landmarks[0] == (0, 1) and item.landmarks[67] == (134, 135)


def test_words_ids_splits_and_filters_are_mapped(read_table):
    text = "file,emo,fold,use\na.jpg,joy,training,1\nb.jpg,uncertain,testing,1\nc.jpg,joy,training,0\n"
    items = read_table(text, {"emotion": "emo", "split": "fold"}, label_set="basic7", emotion_map={"joy": "happiness"},
                       emotion_missing=["uncertain"], split_map={"training": "train", "testing": "test"},
                       where={"use": 1})  # fmt: skip
    assert [(i.media, i.emotion, i.split) for i in items] == [("a.jpg", "happiness", "train"), ("b.jpg", None, "test")]


def test_ids_of_the_label_set_are_looked_up_not_indexed(read_table):
    assert read_table("file,emo\na.jpg,4\n", {"emotion": "emo"}, label_set="rafdb")[0].emotion == "happiness"


def test_valence_attributes_caption_and_licence_are_read(read_table):
    text = "file,v,a,age,cap,lic\na.jpg,0.5,-2,,a smile,CC0\n"
    columns = {"valence": "v", "arousal": "a", "attributes": {"age": "age"}, "caption": "cap", "licence": "lic"}
    (item,) = read_table(text, columns, va_missing=[-2], licence="mine")
    assert (item.valence, item.arousal, item.attributes) == (0.5, None, {})
    assert (item.caption, item.licence) == ("a smile", "CC0")


@pytest.mark.parametrize(("cells", "reason"), [
    ("a.jpg,glee,1,", "unknown label"), ("a.jpg,happy,x,", "bad AU value"), ("a.jpg,happy,-1,", "bad AU value"),
    ("a.jpg,happy,inf,", "bad AU value"), ("a.jpg,happy,1,fold9", "unknown split"), (",happy,1,", "no media"),
    ("x/._a.jpg,happy,1,", "system file"), ("a.jpg,happy", "bad row"),
])  # fmt: skip
def test_one_bad_row_is_a_drop_and_the_next_is_read(read_table, cells, reason):
    text = f"file,emo,AU12,fold\n{cells}\nb.jpg,happy,1,train\n"
    bad, good = read_table(text, {"emotion": "emo", "aus": "AU{n}", "split": "fold"}, label_set="basic7")
    assert isinstance(bad, Drop) and bad.reason == reason and bad.detail
    assert good.media == "b.jpg"


@pytest.mark.parametrize("cells", ["1,2,3,", "1,2,x,4", "5,5,1,9"])
def test_a_broken_box_is_a_drop(read_table, cells):
    assert drops(read_table(f"file,a,b,c,d\na.jpg,{cells}\n", {"box": list("abcd")})) == [("a.jpg", "bad face box")]


def test_lines_that_are_not_json_objects_are_drops(read_table):
    items = read_table('{"file": "a.jpg"}\n{oops\n\n[1]\n', {}, "labels.jsonl")
    assert drops(items) == [("line 2", "bad row"), ("line 4", "bad row")] and items[0].media == "a.jpg"


def test_all_missing_columns_are_named_beside_those_that_exist(read_table):
    with pytest.raises(ConfigError) as e:
        read_table("file,age\na.jpg,3\n", {"emotion": "emo", "subject": "who"}, label_set="basic7", where={"ok": 1})
    assert all(repr(name) in str(e.value) for name in ("emo", "who", "ok", "file", "age"))


@pytest.mark.parametrize(("columns", "options", "says"), [
    ({"emotion": "emo"}, {}, "needs label_set"),
    ({}, {"label_set": "basic9"}, "basic9"),
    ({"emotion": "emo"}, {"label_set": "basic7", "emotion_map": {"joy": "glee"}}, "emotion_map.joy"),
    ({"aus": {"AU99": "emo"}}, {}, "no action unit"),
    ({"aus": "unit{n}"}, {}, "fits no column"),
    ({"aus": "unit"}, {}, "no {n}"),
    ({"box": ["emo"]}, {}, "four"),
    ({"landmarks": ["x"]}, {}, "pair of patterns"),
    ({"colour": "emo"}, {}, "colour: unknown key"),
    ({}, {"colour": "emo"}, "colour: unknown key"),
    ({}, {"au_missing": 9}, "au_missing"),
    ({}, {"delimiter": "::"}, "not one character"),
])  # fmt: skip
def test_options_that_cannot_work_are_refused(read_table, columns, options, says):
    with pytest.raises(ConfigError, match=says):
        read_table("file,emo\na.jpg,joy\n", columns, **options)


def test_a_column_that_stands_twice_is_refused(read_table):
    with pytest.raises(ConfigError, match="more than one column named 'emo'"):
        read_table("file,emo,emo\na.jpg,a,b\n", {"subject": "emo"})


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl", "none.parquet"])
def test_a_label_file_that_is_not_there_is_an_error(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot read label file"):
        table.read(tmp_path, labels=name, columns={"media": "file"})


@pytest.mark.parametrize(("name", "data", "says"), [
    ("l.csv", b"file\n\xff\xfe\n", "UTF-8"), ("l.csv", b"", "empty"), ("l.txt", b"file a", "set `delimiter`"),
    ("l.parquet", b"no", "not a Parquet file"), ("l.csv", b'file\n"' + b"a" * 200_000, "field larger"),
])  # fmt: skip
def test_a_label_file_that_cannot_be_read_is_an_error(tmp_path: Path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=says):
        list(table.read(tmp_path, labels=name, columns={"media": "file"}))


def test_rows_are_read_one_by_one(read_table, label_file, monkeypatch):
    taken = []
    monkeypatch.setattr(table, "rows", lambda *_: (taken.append(n) or {"file": f"{n}.jpg"} for n in range(10**9)))
    items = table.read(label_file("file\n"), labels="labels.csv", columns={"media": "file"})
    assert [next(items).id, next(items).id, len(taken)] == ["0.jpg", "1.jpg", 2]
