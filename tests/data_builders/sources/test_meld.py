import pytest

from data_builders.sources.meld import SOURCE
from facevlm.config import ConfigError

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\r\n"


def row(text, emotion, dialogue, utterance, speaker="Joey"):
    return f'1,"{text}",{speaker},{emotion},neutral,{dialogue},{utterance},8,21,"00:16:16,059","00:16:21,731"\r\n'


FILES = {
    "train_sent_emo.csv": HEAD + row("I\u0092m fine, really.", "joy", 0, 0) + row("", "anger", 0, 1) + "1,torn\r\n",
    "dev_sent_emo.csv": HEAD + row("¿Qué?", "fear", 0, 0) + row("", "neutral", 0, 2, "") + row("a", "rage", 0, 3),
    "test_sent_emo.csv": (HEAD + row("I’m “here”", "surprise", 0, 0)).encode("cp1252"),
    "train/train_splits/dia0_utt0.mp4": b"x",
    "train/train_splits/._dia0_utt1.mp4": b"x",
    "dev/dev_splits_complete/dia0_utt0.mp4": b"x",
    "dev/dev_splits_complete/dia0_utt2.MP4": b"x",
    "dev/dev_splits_complete/dia0_utt3.mp4": b"x",
    "test/output_repeated_splits_test/dia0_utt0.mp4": b"x",
    "test/output_repeated_splits_test/final_videos_testdia0_utt1.mp4": b"x",
}


def test_names_that_repeat_in_the_parts_stay_apart(tree, take):
    found = take(SOURCE, tree(FILES))
    assert {n: (r.split, r.emotion, r.media) for n, r in found.records.items()} == {
        "train_dia0_utt0": ("train", "happiness", "train/train_splits/dia0_utt0.mp4"),
        "dev_dia0_utt0": ("val", "fear", "dev/dev_splits_complete/dia0_utt0.mp4"),
        "dev_dia0_utt2": ("val", "neutral", "dev/dev_splits_complete/dia0_utt2.MP4"),
        "test_dia0_utt0": ("test", "surprise", "test/output_repeated_splits_test/dia0_utt0.mp4"),
    }  # fmt: skip
    assert {r.label_set for r in found.all} == {"meld"}


def test_quotation_marks_of_windows_are_mended(tree, take):
    found = take(SOURCE, tree(FILES))
    assert found.records["train_dia0_utt0"].attributes == {
        "utterance": "I’m fine, really.", "speaker": "Joey", "sentiment": "neutral"}  # fmt: skip
    assert found.records["dev_dia0_utt0"].attributes["utterance"] == "¿Qué?"
    assert found.records["test_dia0_utt0"].attributes["utterance"] == "I’m “here”"
    assert found.records["dev_dia0_utt2"].attributes == {"sentiment": "neutral"}  # nothing was said


def test_actors_of_all_parts_are_no_subjects(tree, take):
    assert {r.subject for r in take(SOURCE, tree(FILES)).all} == {None}


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    assert take(SOURCE, tree(FILES)).drops == [("train_dia0_utt1", "file missing"), ("train line 4", "bad row"),
                                               ("dev_dia0_utt3", "unknown label")]  # fmt: skip


def test_flat_folders_and_files_without_speakers_are_read(tree, take):
    part = "Dialogue_ID,Utterance_ID,Emotion,Utterance\n0,0,sadness,Oh.\n"
    root = tree({f"{p}_sent_emo.csv": part for p in ("train", "dev", "test")}
                | {f"{p}/dia0_utt0.mp4": b"x" for p in ("train", "dev", "test")})  # fmt: skip
    found = take(SOURCE, root)
    assert [r.media for r in found.all] == ["train/dia0_utt0.mp4", "dev/dia0_utt0.mp4", "test/dia0_utt0.mp4"]
    assert found.all[0].attributes == {"utterance": "Oh."}


def test_missing_parts_are_named(tree, take):
    with pytest.raises(ConfigError, match=r"train_sent_emo\.csv is not in"):
        take(SOURCE, tree({"train/dia0_utt0.mp4": b"x"}))
    with pytest.raises(ConfigError, match="folder train_splits"):
        take(SOURCE, tree({"train/dia0_utt0.mp4": b"x", "other/train_sent_emo.csv": HEAD}) / "other")
    root = tree({"train_sent_emo.csv": "Dialogue_ID,Emotion\n0,joy\n", "train_splits/": None})
    with pytest.raises(ConfigError, match="no columns 'Utterance_ID', 'Utterance'"):
        take(SOURCE, root)


def test_nothing_is_read_before_all_parts_are_found(tree):
    root = tree({name: text for name, text in FILES.items() if name != "test_sent_emo.csv"})
    with pytest.raises(ConfigError, match=r"test_sent_emo\.csv is not in"):
        next(SOURCE.read(root))
