import pytest

from data_builders.sources.disfaplus import SOURCE
from facevlm.config import ConfigError

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
HEAD = "FrameNo     Intensity\r\n\r\n"


def labels(where, text="000.jpg     0\r\n001.jpg     0\r\n", **changed):
    return {f"Labels/{where}/AU{au}.txt": HEAD + changed.get(f"au{au}", text) for au in AUS}


@pytest.fixture
def plus(tree):
    return tree({**labels("SN001/A1_AU1_TrailNo_1", au1="000.jpg     4\r\n001.jpg     1\r\n"),
                 **labels("SN003/B_Happy_1", "000.jpg     0\r\n"), "Images/": None,
                 "Labels/SN001/A1_AU1_TrailNo_1/._AU1.txt": b"x"})  # fmt: skip


def test_two_header_lines_then_a_picture_and_its_level(plus, take):
    found = take(SOURCE, plus)
    assert list(found.records) == ["SN001/A1_AU1_TrailNo_1/000", "SN001/A1_AU1_TrailNo_1/001", "SN003/B_Happy_1/000"]
    first, second = found.all[:2]
    assert first.media == "Images/SN001/A1_AU1_TrailNo_1/000.jpg"
    assert first.aus == {**dict.fromkeys(AUS, 0.0), 1: 4.0} and first.subject == "SN001"
    assert (first.present_aus, second.present_aus, second.aus[1]) == ((1,), (), 1.0)
    assert (found.drops, found.notes) == ([], [])


def test_the_first_picture_is_not_taken_for_a_header_where_there_is_none(tree, take):
    files = {path: text.removeprefix(HEAD) for path, text in labels("SN001/T").items()}
    assert list(take(SOURCE, tree({**files, "Images/": None})).records) == ["SN001/T/000", "SN001/T/001"]


def test_a_third_line_that_is_no_picture_is_dropped(tree, take):
    root = tree({**labels("SN001/T", au9="note\n000.jpg     2\n001.jpg     7\n"), "Images/": None})
    found = take(SOURCE, root)
    assert found.drops == [("SN001/T AU9 line 3", "bad row"), ("SN001/T AU9 line 5", "bad AU value")]
    assert found.records["SN001/T/000"].aus[9] == 2 and 9 not in found.records["SN001/T/001"].aus
    assert "SN001/T AU9 (1)" in found.notes[0]


def test_pictures_come_in_order_of_number_and_can_be_thinned(tree, take):
    text = "".join(f"{n}.jpg     0\n" for n in (100, 99, 101))
    root = tree({**labels("SN001/T", text), "Aligned/": None})
    assert list(take(SOURCE, root, pictures="Aligned").records) == ["SN001/T/99", "SN001/T/100", "SN001/T/101"]
    thin = take(SOURCE, root, pictures="Aligned", every=2)
    assert [r.media for r in thin.all] == ["Aligned/SN001/T/99.jpg", "Aligned/SN001/T/101.jpg"]


def test_an_empty_trial_is_dropped_and_a_missing_folder_is_an_error(tree, take):
    root = tree({**labels("SN001/T", ""), "Images/": None})
    assert take(SOURCE, root).drops == [("SN001/T", "unlabelled")]
    with pytest.raises(ConfigError, match="folder of pictures is not in"):
        take(SOURCE, root, pictures="Faces")
    with pytest.raises(ConfigError, match="Labels folder"):
        take(SOURCE, tree({}) / "Images")
