import pytest

from data_builders.sources.bp4dplus import SOURCE

CODED = (1, 2, 4, 5, 6, 7, *range(9, 21), 22, 23, 24, *range(27, 40))
HEAD = "1," + ",".join(map(str, CODED))


def row(frame, code):
    return f"{frame}," + ",".join([code] * len(CODED))


@pytest.fixture
def plus(tree):
    return tree({
        "AUCoding/AU_OCC/F001_T1.csv": f"{HEAD}\n{row(120, '0')}\n{row(121, '1')}\n",
        "AUCoding/AU_OCC/M001_T8.csv": f"{HEAD}\n{row(3, '1')}\n",
        "AUCoding/AU_OCC/F041_T7.csv": f"{HEAD}\n{row(1, '1')}\n",
        "AUCoding/AU_OCC/F001_T2.csv": f"{HEAD}\n{row(1, '1')}\n",
        "2D+3D/F001/T1/0120.jpg": None, "2D+3D/F001/T1/0121.jpg": None, "2D+3D/M001/T8/003.jpg": None,
        "2D+3D/F041/T7/001.jpg": None, "2D+3D/F001/T2/001.jpg": None,
    })  # fmt: skip


def test_34_aus_without_25_and_26_below_a_header_that_names_two_columns_1(plus, take):
    found = take(SOURCE, plus)
    assert list(found.records) == ["F001_T1-120", "F001_T1-121", "M001_T8-3"]
    first = found.records["F001_T1-120"]
    assert first.labelled_aus == CODED and len(CODED) == 34 and not {25, 26} & set(CODED)
    assert (first.present_aus, found.records["F001_T1-121"].present_aus) == ((), CODED)
    assert first.media == "2D+3D/F001/T1/0120.jpg"


def test_the_letter_keeps_two_people_with_one_number_apart(plus, take):
    assert {r.subject for r in take(SOURCE, plus).all} == {"F001", "M001"}


def test_other_tasks_and_the_faulty_sequence_are_dropped(plus, take):
    assert take(SOURCE, plus).drops == [("F001_T2", "unknown sequence"), ("F041_T7", "known fault")]


def test_there_is_no_official_split(plus, take):
    assert {r.split for r in take(SOURCE, plus).all} == {""}


def test_intensity_and_thinning_as_in_bp4d(tree, take):
    root = tree({"AUCoding/AU_OCC/F001_T6.csv": "1,1,6\n1,1,1\n2,0,1\n3,0,0\n",
                 "AUCoding/AU_INT/AU06/F001_T6_AU06.csv": "1,5\n2,2\n3,0\n",
                 "2D+3D/F001/T6/001.jpg": None, "2D+3D/F001/T6/003.jpg": None})  # fmt: skip
    assert [r.aus for r in take(SOURCE, root, intensity=True, every=2).all] == [{1: 1, 6: 5}, {1: 0, 6: 0}]
