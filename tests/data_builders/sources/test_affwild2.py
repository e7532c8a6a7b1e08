import pytest

from data_builders.sources.affwild2 import AU, EXPR, MTL, VA
from facevlm.config import ConfigError

EXPR_HEAD = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
AU_HEAD = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n"
A = "6th ABAW Annotations"


def pictures(video, *numbers, base="cropped_aligned"):
    return {f"{base}/{video}/{n:05d}.jpg": None for n in numbers}


def test_line_n_below_the_header_is_picture_n_in_the_id_order_of_2022(tree, take):
    root = tree({f"{A}/EXPR_Recognition_Challenge/Train_Set/10-60.txt": EXPR_HEAD + "0\n1\n2\n3\n4\n5\n6\n7\n",
                 **pictures("10-60", *range(1, 9))})  # fmt: skip
    found = take(EXPR, root)
    assert [(r.media[-9:], r.emotion) for r in found.all] == [
        ("00001.jpg", "neutral"), ("00002.jpg", "anger"), ("00003.jpg", "disgust"), ("00004.jpg", "fear"),
        ("00005.jpg", "happiness"), ("00006.jpg", "sadness"), ("00007.jpg", "surprise"), ("00008.jpg", "other"),
    ]  # fmt: skip
    assert found.all[0].id == "10-60-00001" and found.all[0].label_set == "affwild2" and found.drops == []


def test_invalid_frames_faceless_frames_and_strange_labels_are_dropped(tree, take):
    base = f"{A}/EXPR_Classification_Challenge/Train_Set"
    root = tree({f"{base}/v.txt": EXPR_HEAD.strip() + "\r\n-1\r\n4\r\n8\r\n\r\n5\r\n6\r\n",
                 f"{base}/._v.txt": b"\xff", **pictures("v", 1, 2, 3, 5, 7)})  # fmt: skip
    found = take(EXPR, root)
    assert found.drops == [("v-00001", "unlabelled"), ("v-00003", "unknown label"), ("v-00006", "no picture")]
    assert {r.id: r.emotion for r in found.all} == {"v-00002": "happiness", "v-00005": "sadness"}


def test_validation_is_the_test_set_and_faces_of_one_video_are_two_subjects(tree, take):
    root = tree({f"{A}/EXPR_Recognition_Challenge/Train_Set/v_left.txt": EXPR_HEAD + "4\n",
                 f"{A}/EXPR_Recognition_Challenge/Train_Set/v_right.txt": EXPR_HEAD + "5\n",
                 f"{A}/EXPR_Recognition_Challenge/Validation_Set/w.txt": EXPR_HEAD + "6\n",
                 f"{A}/EXPR_Recognition_Challenge/Test_Set/x.txt": EXPR_HEAD + "6\n", **pictures("v_left", 1),
                 **pictures("v_right", 1), **pictures("w", 1), **pictures("x", 1)})  # fmt: skip
    assert [(r.subject, r.split, r.emotion) for r in take(EXPR, root).all] == [
        ("v_left", "train", "happiness"), ("v_right", "train", "sadness"), ("w", "test", "surprise")]  # fmt: skip


def test_minus_one_leaves_an_au_unlabelled(tree, take):
    rows = "0,0,1,0,0,0,0,0,0,0,-1,1\n" + ",".join(["-1"] * 12) + "\n1,0\n" + ",".join(["2"] * 12) + "\n"
    root = tree({f"{A}/AU_Detection_Challenge/Train_Set/v.txt": AU_HEAD + rows, **pictures("v", 1, 2, 3, 4)})
    found = take(AU, root)
    assert found.all[0].aus == {1: 0, 2: 0, 4: 1, 6: 0, 7: 0, 10: 0, 12: 0, 15: 0, 23: 0, 24: 0, 26: 1}
    assert found.all[0].au_threshold == 1
    assert found.drops == [("v-00002", "unlabelled"), ("v-00003", "bad row"), ("v-00004", "bad AU value")]


def test_minus_five_is_no_valence(tree, take):
    text = "valence,arousal\n-0.25,0.5\n-5,-5\n-5.0,0.1\n1.5,0\nx,0\n-1,1\n"
    root = tree({f"{A}/VA_Estimation_Challenge/Validation_Set/v.txt": text, **pictures("v", *range(1, 7))})
    found = take(VA, root)
    assert [(r.valence, r.arousal) for r in found.all] == [(-0.25, 0.5), (None, 0.1), (-1, 1)]
    assert found.drops == [("v-00002", "unlabelled"), ("v-00004", "bad number"), ("v-00005", "bad number")]
    assert {r.split for r in found.all} == {"test"}


def test_the_multi_task_list_names_its_pictures(tree, take):
    zero = ",0" * 12
    head = "image,valence,arousal,expression,aus\n"
    rows = [f"v/00001.jpg,0.5,-0.5,4{zero}", f"v/00007.jpg,-5,-5,-1,1{',-1' * 11}",
            f"v/00009.jpg,-5,-5,-1{',-1' * 12}", f"gone/00001.jpg,0,0,0{zero}", "torn", "v/00010.jpg,0,0"]  # fmt: skip
    root = tree({f"{A}/MTL_Challenge/train_set.txt": head + "\n".join(rows), "cropped_aligned/v/": None,
                 f"{A}/MTL_Challenge/validation_set.txt": f"{head}v/00011.jpg,0,0,-1{zero}\n"})  # fmt: skip
    found = take(MTL, root)
    first, second, third = found.all
    assert (first.id, first.media, first.split) == ("v-00001", "cropped_aligned/v/00001.jpg", "train")
    assert (first.emotion, first.valence, first.arousal, len(first.aus)) == ("happiness", 0.5, -0.5, 12)
    assert (second.emotion, second.valence, second.aus, second.label_set) == (None, None, {1: 1}, None)
    assert (third.emotion, third.valence, third.split) == (None, 0, "test")
    assert found.drops == [("v-00009", "unlabelled"), ("gone/00001.jpg", "no pictures"),
                           ("train_set.txt line 6", "bad row"), ("v-00010", "bad row")]  # fmt: skip


def test_every_nth_line_of_a_file(tree, take):
    root = tree({f"{A}/EXPR_Recognition_Challenge/Train_Set/v.txt": EXPR_HEAD + "0\n1\n2\n3\n4\n",
                 **pictures("v", 1, 3, 4, 5)})  # fmt: skip
    assert [r.id for r in take(EXPR, root, every=2).all] == ["v-00001", "v-00003", "v-00005"]


def test_a_file_without_its_header_is_dropped_whole_because_frames_would_shift(tree, take):
    base = f"{A}/AU_Detection_Challenge/Train_Set"
    row = "0,0,0,0,0,0,0,0,0,0,0,0\n"
    root = tree({f"{base}/a.txt": row, f"{base}/b.txt": "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n" + row,
                 f"{base}/c.txt": "", f"{base}/d.txt": AU_HEAD + row, **pictures("a", 1), **pictures("b", 1),
                 **pictures("c", 1)})  # fmt: skip
    assert take(AU, root).drops == [("a", "bad label file"), ("b", "bad label file"), ("c", "bad label file"),
                                    ("d", "no pictures")]  # fmt: skip


def test_pictures_may_lie_in_batches(tree, take):
    root = tree({f"{A}/EXPR_Recognition_Challenge/Train_Set/v.txt": EXPR_HEAD + "4\n",
                 f"{A}/EXPR_Recognition_Challenge/Train_Set/w.txt": EXPR_HEAD + "4\n",
                 **pictures("batch1/v", 1), **pictures("w", 1)})  # fmt: skip
    media = [r.media for r in take(EXPR, root).all]
    assert media == ["cropped_aligned/batch1/v/00001.jpg", "cropped_aligned/w/00001.jpg"]


def test_of_several_annotations_one_must_be_named(tree, take):
    root = tree({f"{a}/EXPR_Recognition_Challenge/Train_Set/v.txt": EXPR_HEAD + f"{n}\n" for n, a in
                 ((4, A), (5, "3rd ABAW Annotations"))} | pictures("v", 1))  # fmt: skip
    with pytest.raises(ConfigError, match="several sets of annotations: 3rd ABAW Annotations, 6th ABAW Annotations"):
        take(EXPR, root)
    assert take(EXPR, root, annotations="3rd ABAW Annotations").all[0].emotion == "sadness"


def test_old_annotations_are_refused_and_missing_ones_named(tree, take):
    root = tree({"annotations/Expression_Set/Train_Set/v.txt": "Neutral\n0\n", **pictures("v", 1)})
    with pytest.raises(ConfigError, match="2020 or 2021.*3rd ABAW"):
        take(EXPR, root)
    with pytest.raises(ConfigError, match="VA_Estimation_Challenge folder is not in"):
        take(VA, tree({"x/y.txt": ""}).joinpath("x"))
    with pytest.raises(ConfigError, match="MTL_Challenge folder"):
        take(MTL, root / "cropped_aligned")


def test_no_pictures_and_no_training_set_are_errors(tree, take):
    root = tree({f"{A}/EXPR_Recognition_Challenge/notes.txt": ""})
    with pytest.raises(ConfigError, match="cropped faces"):
        take(EXPR, root)
    with pytest.raises(ConfigError, match="the training set"):
        take(EXPR, tree({"cropped_aligned/": None}))
