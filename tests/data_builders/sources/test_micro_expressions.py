"""CASME II, SAMM, CAS(ME)^3 and MMEW: spreadsheets as Excel writes them, numbers as numbers."""

import io

import openpyxl
import pytest

from data_builders.sources.casme2 import SOURCE as CASME2
from data_builders.sources.casme3 import SOURCE as CASME3
from data_builders.sources.mmew import MACRO
from data_builders.sources.mmew import SOURCE as MMEW
from data_builders.sources.samm import SOURCE as SAMM
from facevlm.config import ConfigError


def xlsx(*rows, sheet="Sheet1"):
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def frames(pattern, *numbers):
    return {pattern.format(n): None for n in numbers}


# -- CASME II

HEAD2 = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"]
ROWS2 = [
    [1, "EP02_01f", None, 46, 59, 86, "4+L10", "disgust"],
    [1, "EP03_02", None, 10, "/", 20, 4, "others"],
    ["26", "EP18_50", None, 5, 5, 9, "?", "repression "],
    ["sub03", "EP01_1", None, 5, 7, 9, "12+?+14?", "happiness"],
    [2, "EP01_11", None, 46, 59, 86, "1+2", "fear"],
    [2, "EP01_12", None, 46, 59, 86, "?", None],
    [2, "EP01_13", None, 46, 59, 86, "4+10x", "disgust"],
    [2, "EP01_14", None, 60, 59, 86, "4", "surprise"],
    [2, "EP01_15", None, 4, 59, 86, "4", "surprise"],
    [2, "EP01_16", None, 4, "x", 86, "4", "surprise"],
    [2, "EP01_17", None, 4, 5, 86, "4", "joyfully"],
    [None, None, None, None, None, None, None, "the coders' notes"],
]


@pytest.fixture
def casme2(tree):
    raw = "CASME2-RAW/CASME2-RAW/sub{}/img{{}}.jpg"
    return tree({
        "CASME2-coding-20140508.xlsx": xlsx(HEAD2, *ROWS2),
        **frames(raw.format("01/EP02_01f"), 46, 59, 86, "046"), **frames(raw.format("01/EP03_02"), 10, 15, 20),
        **frames(raw.format("26/EP18_50"), 5), **frames(raw.format("03/EP01_1"), 7),
        **frames(raw.format("02/EP01_11"), 59), "CASME2-RAW/CASME2-RAW/sub01/EP02_01f/._img59.jpg": b"x",
        **frames("Cropped/sub01/EP02_01f/reg_img{}.jpg", 46, 59),
    })  # fmt: skip


def test_casme2_is_the_apex_frame_and_the_onset_before_it(casme2, take):
    found = take(CASME2, casme2)
    one = found.records["sub01/EP02_01f"]
    assert one.media == "CASME2-RAW/CASME2-RAW/sub01/EP02_01f/img59.jpg"
    assert one.before == "CASME2-RAW/CASME2-RAW/sub01/EP02_01f/img046.jpg", "of img046 and img46 the first in order"
    assert (one.subject, one.emotion, one.label_set, one.split) == ("01", "disgust", "casme2", "")
    assert one.aus == {4: 1, 10: 1} and one.attributes == {"sided_aus": "L10"}
    still = found.records["sub26/EP18_50"]
    assert (still.before, still.aus, still.emotion) == (None, {}, "repression"), "? is unknown, and not: none"
    doubt = found.records["sub03/EP01_1"]
    assert doubt.aus == {12: 1} and doubt.before is None
    assert found.notes == ["2 clips have no onset frame before the apex: no picture before in the record"]


def test_casme2_rows_that_cannot_be_used(casme2, take):
    assert take(CASME2, casme2).drops == [
        ("sub01/EP03_02", "no apex frame"), ("sub02/EP01_11", "outside the classes"), ("sub02/EP01_12", "unlabelled"),
        ("sub02/EP01_13", "bad AU code"), ("sub02/EP01_14", "frames out of order"), ("sub02/EP01_15", "file missing"),
        ("sub02/EP01_16", "bad frame"), ("sub02/EP01_17", "unknown label"), ("row 12", "bad row"),
    ]  # fmt: skip


def test_casme2_options(casme2, take):
    middle = take(CASME2, casme2, no_apex="middle", unnamed="absent").records
    assert middle["sub01/EP03_02"].media.endswith("/sub01/EP03_02/img15.jpg")
    known = {1, 2, 4, 10, 12}
    assert middle["sub01/EP02_01f"].aus == dict.fromkeys(known, 0) | {4: 1, 10: 1}
    assert middle["sub26/EP18_50"].aus == {}, "unknown codes leave nothing absent"
    assert middle["sub03/EP01_1"].aus == {12: 1}
    every = take(CASME2, casme2, classes="all").records
    assert (every["sub02/EP01_11"].emotion, every["sub02/EP01_11"].label_set) == ("fear", "casme2-all")
    megc = take(CASME2, casme2, classes="megc")
    assert {n: r.emotion for n, r in megc.records.items()} == {
        "sub01/EP02_01f": "negative", "sub26/EP18_50": "negative", "sub03/EP01_1": "positive"}  # fmt: skip
    assert ("sub01/EP03_02", "outside the classes") in megc.drops
    cropped = take(CASME2, casme2, pictures="cropped").records
    assert [r.media for r in cropped.values()] == ["Cropped/sub01/EP02_01f/reg_img59.jpg"]


def test_casme2_refuses_what_it_does_not_know(tree, take):
    with pytest.raises(ConfigError, match="CASME2-coding"):
        take(CASME2, tree({"holiday.jpg": None}))
    root = tree({"CASME2-coding-20190701.xlsx": xlsx(HEAD2, *ROWS2), "Cropped/sub01/EP02_01f/reg_img46.jpg": None})
    with pytest.raises(ConfigError, match="no folder with sub01.*raw pictures; it has Cropped"):
        take(CASME2, root)
    lacking = [[cell for i, cell in enumerate(row) if i != 4] for row in [HEAD2, *ROWS2]]
    with pytest.raises(ConfigError, match="apex is not clear among 'Subject', 'Filename', 'OnsetFrame'"):
        take(CASME2, tree({"CASME2-coding-20190701.xlsx": xlsx(*lacking), "sub01/": ""}))
    with pytest.raises(ConfigError, match="no header row that begins with 'Subject'"):
        take(CASME2, tree({"CASME2-coding-20190701.xlsx": xlsx(["nothing"])}))
    with pytest.raises(ConfigError, match="cannot read spreadsheet"):
        take(CASME2, tree({"CASME2-coding-20190701.xlsx": b"PK torn"}))


# -- SAMM

HEAD_S = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
          "Objective Classes", "Estimated Emotion", "Action Units", "Notes"]  # fmt: skip


def samm_row(subject, clip, onset, apex, emotion, aus, objective=3):
    return [subject, clip, 1, onset, apex, apex + 40, 75, "Micro", objective, emotion, aus, None]


ROWS_S = [
    samm_row(6, "006_1_2", 5562, 5588, "Surprise", "A1B+A2C"),
    samm_row("007", "007_3_1", 100, 120, "Contempt", "R14A or 17A"),
    samm_row("007", "007_3_2", 100, 120, "Other", "L12A + R12C+4", None),
    samm_row("007", "007_3_3", 100, 120, "Sadness", "17B"),
    samm_row("008", "007_3_3", 100, 120, "Anger", "4B"),
    samm_row("009", "009_1_1", 100, 120, "Anger", "4B+7C"),
]


@pytest.fixture
def samm(tree):
    return tree({
        "SAMM_Micro_FACS_Codes_v2.xlsx": xlsx(["SAMM: notes"], ["Please cite"], [], HEAD_S, *ROWS_S),
        "SAMM/006/006_1_2/006_05562.jpg": None, "SAMM/006/006_1_2/006_05588.jpg": None,
        **frames("SAMM/007/007_3_1/007_0{}.jpg", 100, 120), **frames("SAMM/007/007_3_2/007_0{}.jpg", 100, 120),
        **frames("SAMM/007/007_3_3/007_0{}.jpg", 120),
        "SAMM_CROP/006/x.txt": "",
    })  # fmt: skip


def test_samm(samm, take):
    found = take(SAMM, samm)
    one = found.records["006_1_2"]
    assert (one.media, one.before) == ("SAMM/006/006_1_2/006_05588.jpg", "SAMM/006/006_1_2/006_05562.jpg")
    assert (one.subject, one.emotion, one.label_set) == ("006", "surprise", "samm")
    assert one.aus == {1: 2, 2: 3} and one.attributes == {"sided_aus": "A1+A2", "objective_class": "3"}
    assert found.records["007_3_1"].aus == {}, "either of two is neither"
    both = found.records["007_3_2"]
    assert both.aus == {4: 1, 12: 1}, "one AU without an intensity: occurrences"
    assert both.attributes == {"sided_aus": "L12+R12"}
    assert found.drops == [("007_3_3", "outside the classes"), ("008/007_3_3", "bad row"), ("009_1_1", "file missing")]


def test_samm_classes(samm, take):
    assert take(SAMM, samm, classes="all").records["007_3_3"].emotion == "sadness"
    found = take(SAMM, samm, classes="megc")
    assert {n: r.emotion for n, r in found.records.items()} == {"006_1_2": "surprise", "007_3_1": "negative",
                                                                "007_3_3": "negative"}  # fmt: skip
    absent = take(SAMM, samm, unnamed="absent").records
    assert absent["007_3_1"].aus == dict.fromkeys((1, 2, 4, 7, 12), 0), "14 and 17 are in doubt"


# -- CAS(ME)^3

HEAD3 = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "emotion", "shade"]
ROWS3 = [
    ["spNO.1", "a", 355, 362, 370, "4+7", "disgust", "x"],
    ["spNO.1", "b", 1, 3, 5, "12", "Others", "x"],
    ["spNO.12", "c", 2, 3, 5, "12", "happy"],
    ["spNO.13", "c", 2, 3, 5, "12", "sad"],
]


def test_casme3_folders_in_another_case_and_depth_beside_the_colour(tree, take):
    root = tree({
        "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": xlsx(HEAD3, *ROWS3, sheet="label"),
        **frames("ME/spNo.1_a_355/{}.jpg", 355, 362), "ME/spNo.1_a_355/362.png": None,
        "ME/spNo.1_b_1/3.png": None, **frames("ME/spNo.12_c_2/{}.jpg", 2, 3),
    })  # fmt: skip
    found = take(CASME3, root)
    one = found.records["spno.1_a_355"]
    assert (one.media, one.before) == ("ME/spNo.1_a_355/362.jpg", "ME/spNo.1_a_355/355.jpg")
    assert (one.subject, one.emotion, one.aus) == ("spno.1", "disgust", {4: 1, 7: 1})
    assert found.drops == [("spno.1_b_1", "file missing"), ("spNO.13/c", "file missing")]
    assert take(CASME3, root, classes="megc").records["spno.12_c_2"].emotion == "positive"
    left = take(CASME3, root, exclude=["spNO.1_a_355", "spNO.99_a_1"])
    assert left.drops[0] == ("spNO.1/a", "excluded") and list(left.records) == ["spno.12_c_2"]
    assert left.notes == ["exclude names clips that the label sheet does not have: spno.99_a_1"]


def test_casme3_needs_its_sheet_and_its_folders(tree, take):
    root = tree({"cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": xlsx(HEAD3, *ROWS3, sheet="label"), "a.jpg": None})
    with pytest.raises(ConfigError, match="no clip folders such as spNo"):
        take(CASME3, root)
    root = tree({"cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": xlsx(HEAD3, *ROWS3), "spNo.1_a_355/355.jpg": None})
    with pytest.raises(ConfigError, match="no sheet 'label'; it has Sheet1"):
        take(CASME3, root)


# -- MMEW


@pytest.fixture
def mmew(tree):
    head = ["Subject", "Filename", "Onset Frame", "Apex frame", "OffsetFrame", "action units", "Estimated Emotion"]
    return tree({
        "MMEW_Final/MMEW_Micro_Exp.xlsx": xlsx(
            head, [1, "S01-01-001", 1, 12, 20, "4+7", "disgust"], [1, "S01-02-001", 1, 2, 20, "12", "happiness"],
            [2, "S02-07-001", 1, 2, 3, None, "others"], [2, "S02-09-001", 1, 2, 3, None, "others"],
        ),
        **frames("MMEW_Final/Micro_Expression/disgust/S01-01-001/{}.jpg", 1, 2, 12),
        **frames("MMEW_Final/Micro_Expression/anger/S01-02-001/{}.jpg", 1, 2),
        **frames("MMEW_Final/Micro_Expression/others/S02-07-001/{}.jpg", 2),
        "MMEW_Final/Macro_Expression/S01/anger/S01-01-001.jpg": None,
        "MMEW_Final/Macro_Expression/S01/joy/S01-02-001.jpg": None,
        "MMEW_Final/Macro_Expression/S01/junk/S01-03-001.jpg": None,
    })  # fmt: skip


def test_mmew(mmew, take):
    found = take(MMEW, mmew)
    one = found.records["S01-01-001"]
    assert one.media == "MMEW_Final/Micro_Expression/disgust/S01-01-001/12.jpg"
    assert one.before == "MMEW_Final/Micro_Expression/disgust/S01-01-001/1.jpg"
    assert (one.subject, one.emotion, one.label_set, one.aus) == ("S01", "disgust", "micro7", {4: 1, 7: 1})
    assert found.records["S02-07-001"].emotion == "other"
    assert found.drops == [("1/S01-02-001", "two labels"), ("2/S02-09-001", "file missing")]
    assert "recalled" in found.notes[0]
    assert take(MMEW, mmew, classes="megc").records["S01-01-001"].emotion == "negative"


def test_mmew_macro_expressions(mmew, take):
    found = take(MACRO, mmew)
    assert {n: (r.emotion, r.subject, r.media) for n, r in found.records.items()} == {
        "S01-01-001": ("anger", "S01", "MMEW_Final/Macro_Expression/S01/anger/S01-01-001.jpg"),
        "S01-02-001": ("happiness", "S01", "MMEW_Final/Macro_Expression/S01/joy/S01-02-001.jpg"),
    }
    assert [reason for _, reason in found.drops] == ["unknown label"]


@pytest.mark.parametrize("source", [SAMM, CASME3, MMEW, MACRO])
def test_another_folder_is_refused_with_what_it_holds(source, tree, take):
    with pytest.raises(ConfigError, match=r"the folder holds holiday\.jpg"):
        take(source, tree({"holiday.jpg": None}))
