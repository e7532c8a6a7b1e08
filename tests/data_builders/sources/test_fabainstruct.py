import json

import pytest

from data_builders.sources.fabainstruct import SOURCE, described_aus
from facevlm.config import ConfigError


@pytest.mark.parametrize(("text", "aus"), [
    ("AU4 - Brow Lowerer: The brows are low.\nAU7 - Lid Tightener: The lids are tight, not wide open.", {4, 7}),
    ("AU04, AU12 and AU25 are present.", {4, 12, 25}),
    ("AUs 1, 2 and 5 are active. There is no AU12.", {1, 2, 5}),
    ("There is no visible AU12, but AU4 is strong.", {4}),
    ("AU1 and AU2 are not visible.", set()),
    ("AU9 - Nose Wrinkler: There is no wrinkling of the nose.", set()),
    ("AU9 (Nose Wrinkler): No movement.", set()),
    ("AU12 \u2013 Lip Corner Puller: Absent.", set()),
    ("AU6 is raised. AU6 isn\u2019t seen on the other side.", set()),
    ("AU7 may be present; AU4 is.", {4}),
    ("Possibly AU7.", set()),
    ("AU25 or AU26 is seen.", set()),
    ("AU25 (Lips Part) or AU26 is seen with AU12.", {12}),
    ("Is AU12 there?", set()),
    ("The brow lowerer is at work, with a smile and the jaw dropped.", set()),
    ("AU99 is strong, 25 years of age.", set()),
    ("Action Unit 12 is strong.", {12}),
    ("", set()),
])  # fmt: skip
def test_only_aus_that_are_named_and_neither_denied_nor_doubted(text, aus):
    assert described_aus(text) == aus


def item(image, text, **more):
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": text}]
    return {"source": "affectnet", "image": image, "id": 3, "conversations": turns, "landmark": "a.npy"} | more


@pytest.fixture
def faba(tree):
    return tree({
        "FABAInstruct/train/train_au_anno.json": json.dumps([
            item("a.jpg", "AU4 - Brow Lowerer: The brows are low. There is no AU12."), item("b.jpg", "A calm face."),
            item(None, "AU4."), item("c.jpg", ""), "text",
        ]),
        "FABAInstruct/train/train_emotion_anno.json": json.dumps([item("images/a.jpg", "AU4 says that he is angry.")]),
        "FABAInstruct/eval/eval_emotion_anno.json": json.dumps([item("z.jpg", "She is happy.")]),
        "FABAInstruct/images/": "", "FABAInstruct/eval/images/": "",
    })  # fmt: skip


def test_descriptions_of_aus_and_emotions(faba, take):
    found = take(SOURCE, faba)
    assert {n: (r.media, r.split, dict(r.aus), r.aus_by) for n, r in found.records.items()} == {
        "train_emotion/images/a.jpg": ("FABAInstruct/images/a.jpg", "train", {}, None),
        "train_au/a.jpg": ("FABAInstruct/images/a.jpg", "train", {4: 1}, "gpt-4v"),
        "train_au/b.jpg": ("FABAInstruct/images/b.jpg", "train", {}, None),
        "eval_emotion/z.jpg": ("FABAInstruct/eval/images/z.jpg", "test", {}, None),
    }
    assert found.records["train_emotion/images/a.jpg"].caption == "AU4 says that he is angry."
    assert all(r.emotion is None for r in found.all)
    assert found.drops == [("train_au/3", "no media"), ("train_au/c.jpg", "no answer"),
                           ("train_au_anno.json object 5", "bad row")]  # fmt: skip
    assert found.notes == ["eval/eval_au_anno.json is not there: none of its records"]


def test_one_task(faba, take):
    assert {n.split("/")[0] for n in take(SOURCE, faba, tasks="au").records} == {"train_au"}


def test_another_folder_is_refused_with_what_it_holds(tree, take):
    with pytest.raises(ConfigError, match=r"_anno\.json.*the folder holds holiday\.jpg"):
        take(SOURCE, tree({"holiday.jpg": None}))
