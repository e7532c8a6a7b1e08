import math

import pytest

from eval.elsewhere.reading import Asked
from eval.frame.benchmark import Protocol
from eval.frame.predictions import Prediction, read_predictions, to_line, write_predictions
from eval.frame.scoring import score as score_by
from eval.frame.statistic import number
from eval.readers import READERS
from facevlm.config import ConfigError

ASKED = ("au", "answer")


def score(rows, labels=(), repeats=1000):
    """Emotion and AUs, as a table's labels are scored."""
    protocol = Protocol(name="p", doc="", source="", scores=("emotion", "aus"), headline="emotion_accuracy",
                        classes=tuple(labels))  # fmt: skip
    return score_by(rows, protocol, repeats)


def row(i, said="happiness", gold="happiness", aus=None, present=(), labelled=(6, 12), subject="a", **more):
    return Prediction(str(i), "set", subject, ASKED, value=said, gold=gold, aus=aus, gold_aus=present,
                      labelled_aus=labelled, **more)  # fmt: skip


def test_aus_nobody_labelled_neither_help_nor_harm():
    rows = [row(0, aus={12: None, 4: None}, present=(12,)), row(1, aus={6: None}, present=(6,), labelled=(6,))]
    assert score(rows, repeats=0)["au_macro_f1"] == 1


def test_an_unreadable_au_list_misses_every_present_au():
    rows = [row(0, aus=None, present=(6,)), row(1, aus={6: None}, present=(6,))]
    result = score(rows, repeats=0)
    assert result["au_macro_f1"] == pytest.approx(2 / 3) and result["au_set_f1"] == 0.5 and result["au_scored"] == 1


def test_a_named_au_below_the_threshold_counts_as_absent():
    faint = row(0, aus={12: 1, 6: 3}, present=(6,), au_threshold=2)
    assert faint.named_aus == {6}
    assert score([faint], repeats=0)["au_macro_f1"] == 1


def test_a_face_whose_picture_failed_is_left_out_whatever_the_model():
    rows = [row(0), row(1, said=None, error="file missing: x.png")]
    result = score(rows, repeats=0)
    assert result["n"] == 1 and result["unreadable_images"] == 1 and result["emotion_accuracy"] == 1


def test_nothing_readable_gives_nulls_and_no_crash():
    result = score([row(0, error="file missing: x.png")])
    assert result["n"] == 0 and result["emotion_accuracy"] is None and result["parse_failure_rate"] is None


def test_one_subject_is_not_two_when_sets_share_a_name():
    rows = [row(0), Prediction("1", "other", "a", ASKED, value="happiness", gold="happiness")]
    assert score(rows, repeats=0)["n_subjects"] == 2


def test_intervals_go_by_face_where_no_subject_is_known_and_say_so():
    rows = [row(i, said="anger" if i % 3 else "happiness", subject=None) for i in range(30)]
    result = score(rows, repeats=50)
    assert result["ci95_by"].startswith("face") and result["n_subjects"] is None
    low, high = result["ci95"]["emotion_accuracy"]
    assert low < result["emotion_accuracy"] < high


def test_subjects_are_drawn_whole():
    # One person is always right, one always wrong: by subject the accuracy can be anything from 0 to 1.
    rows = [row(i, said="happiness" if i < 50 else "anger", subject="a" if i < 50 else "b") for i in range(100)]
    assert score(rows, repeats=100)["ci95"]["emotion_accuracy"] == [0, 1]


def test_the_classes_of_the_benchmark_come_first_and_in_order():
    result = score([row(0, gold="anger", said="happiness")], ("neutral", "anger"), repeats=0)
    assert result["confusion"]["rows"] == ["neutral", "anger", "happiness"]
    assert result["per_class"][0]["recall"] is None  # nobody was neutral


def test_nan_becomes_null():
    assert number(math.nan) is None and number(0.0) == 0


def test_rows_come_back_from_disk_as_they_were(tmp_path):
    odd = "a\u2028line\nbreak \ud83d"
    rows = [row(0, aus={12: None, 6: 2}, present=(12,)), row(1, aus=None, text=odd), row(2, aus={})]
    write_predictions(tmp_path / "p.jsonl", rows)
    assert read_predictions(tmp_path / "p.jsonl") == rows


def test_a_half_written_last_line_is_dropped(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(to_line(row(0)) + to_line(row(1))[:-1])
    assert [r.id for r in read_predictions(path)] == ["0"]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(to_line(row(0)) + "{}\n" + to_line(row(1)))
    with pytest.raises(ConfigError, match="line 2 is no prediction"):
        read_predictions(path)


def test_the_lenient_reader_is_at_fault_only_without_an_emotion():
    read = READERS["lenient"].read
    assert read("AU12, so happy", Asked("fast", ASKED, ("happiness",))).faults == ()
    assert read("AU12", Asked("fast", ASKED, ("happiness",))).faults == ("no emotion found",)
    assert read("AU12, so happy", Asked("label", ("answer",), ("happiness",))).aus is None


@pytest.mark.parametrize(
    ("said", "aus", "parts", "right"),
    [
        ("happiness", None, ASKED, True),
        (None, {12: None}, ASKED, False),
        (None, {12: None, 4: None}, ("au",), True),  # AU4 is not labelled
        (None, {12: None, 6: None}, ("au",), False),
        (None, None, ("au",), False),
    ],
)
def test_right_means_the_emotion_or_else_the_au_list(said, aus, parts, right):
    one = Prediction("0", "set", None, parts, value=said, gold="happiness", aus=aus, gold_aus=(12,),
                     labelled_aus=(6, 12))  # fmt: skip
    assert one.right is right


def test_an_answer_beside_the_form_is_not_said_to_be_unread():
    read = [row(i, aus={}, faults=("text outside the tags",)) for i in range(40)]
    caveats = score(read, repeats=0)["caveats"]
    assert any("40 of 40 answers miss the form, though what is scored could be read" in c for c in caveats)
    assert not any("no answer could be read" in c for c in caveats)
    half = [row(i, said=None, aus={}, faults=("<answer> is missing",)) for i in range(20)] + read[20:]
    assert any("20 of 40 answers could not be read and count as wrong" in c for c in score(half, repeats=0)["caveats"])
