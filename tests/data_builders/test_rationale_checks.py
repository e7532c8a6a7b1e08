from dataclasses import replace

import pytest

from data_builders import rationale, rationale_checks
from data_builders.rationale_checks import judge, refused, told_fault
from facevlm.answer import Part, render
from facevlm.prompts import asked_parts
from facevlm.record import FaceRecord
from facevlm.vocab import AUS, LABEL_SETS

RECORD = FaceRecord(id="1", source="s", media="a.png", emotion="happiness", label_set="basic7",
                    aus={4: 0, 6: 2, 12: 3, 15: 0.5})  # fmt: skip
ALL: tuple[Part, ...] = ("think", "au", "answer")
GOOD = "The cheek raiser (AU6) narrows the eyes and the lip corner puller (AU12) lifts the mouth; this is happiness."


def faults(thinking: str = GOOD, aus: str = "AU6, AU12", emotion: str = "happiness",
           record: FaceRecord = RECORD) -> list[str]:  # fmt: skip
    text = f"<think>{thinking}</think><au>{aus}</au><answer>{emotion}</answer>"
    return [fault.text for fault in judge(text, record, ALL, 5, 60)]


def test_a_good_rationale_has_no_faults() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"aus": "AU6"}, "it lacks AU12"),
        ({"aus": "AU4, AU6, AU12"}, "AU4 is absent"),
        ({"aus": "AU6, AU12, AU15"}, "AU15 is absent"),  # labelled, but below the threshold
        ({"aus": "AU1, AU6, AU12"}, "AU1 is not labelled"),
        ({"aus": "none"}, "it lacks AU6, AU12"),
        ({"emotion": "anger"}, "the answer is anger, not happiness"),
        ({"emotion": "contempt"}, "'contempt' is not an emotion on offer"),
        ({"aus": "AU6, AU12 and more"}, "'AU12 and more' is not an AU"),
        ({"thinking": "AU4 lowers the brows and AU12 lifts the mouth; happiness."}, "names brow lowerer (AU4)"),
        ({"thinking": "The lip corner depressor and AU12 both shape a happy mouth."}, "names lip corner depressor"),
        ({"thinking": "The cheeks are raised and the mouth is lifted: this is sadness."},
         "ends on sadness, not on happiness"),
        ({"thinking": "AU6 and AU12 agree with the provided label, happiness."},
         "having been told: 'agree with the provided label'"),
        ({"thinking": "Happy AU12."}, "has 2 words; between 5 and 60 are wanted"),
        ({"thinking": "so " * 61}, "has 61 words"),
        ({"thinking": "The mouth is <b>lifted</b> by AU12 and AU6: happiness."}, "markup: '<b>'"),
        ({"thinking": "<answer>anger</answer> The mouth is lifted by AU12."}, "<answer> inside <think>"),
        ({"thinking": "The mouth is lifted by AU12 and AU6: 开心 happiness."}, "not Latin: '开心'"),
        ({"thinking": "1 2 3 4 5 6 7"}, "has no words"),
        ({"thinking": "I'm sorry, I can't describe people in pictures."}, "declines to answer"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change: dict[str, str], fault: str) -> None:
    found = faults(**change)
    assert len(found) >= 1
    assert any(fault in text for text in found), found


def test_accents_and_typographic_marks_are_latin_text() -> None:
    assert faults("A naïve smile – the “Duchenne” one: AU6 doesn’t stay away, AU12 lifts; happiness.") == []


def test_a_denied_absent_unit_and_a_ruled_out_emotion_are_no_faults() -> None:
    assert faults("AU6 and AU12 are clear, AU4 is not seen. This is happiness rather than anger.") == []


def test_an_unlabelled_unit_may_be_mentioned_in_prose() -> None:
    assert faults("AU6, AU12 and a slight AU25 make the smile of happiness.") == []


def test_parts_follow_the_labels() -> None:
    emotion_only = replace(RECORD, aus={})
    text = "<think>The cheeks are raised in a wide smile: joy.</think><answer>happiness</answer>"
    assert judge(text, emotion_only, ("think", "answer"), 5, 60) == []
    assert judge(text, RECORD, ALL, 5, 60)[0].text == "<au> is missing"
    units_only = replace(RECORD, emotion=None, label_set=None)
    assert judge(f"<think>{GOOD}</think><au>AU6, AU12</au>", units_only, ("think", "au"), 5, 60) == []


def test_only_faults_about_labels_are_marked_so() -> None:
    text = render(ALL, "Short AU4.", {4: None}, "anger")
    kinds = {fault.of: fault.text for fault in judge(text, RECORD, ALL, 5, 60)}
    assert "words" in kinds["form"] and "AU4" in kinds["labels"]
    assert {f.of for f in judge("nothing", RECORD, ALL, 5, 60)} == {"form"}


def test_a_blend_may_be_told_by_its_halves() -> None:
    blend = replace(RECORD, emotion="happily surprised", label_set="rafdb-compound")
    assert faults("AU6 and AU12 mix happiness with surprise.", emotion="happily surprised", record=blend) == []
    assert faults("AU6 and AU12 end in nothing but anger.", emotion="happily surprised", record=blend) != []


def test_every_template_rationale_passes() -> None:
    for emotion in LABEL_SETS["basic8"].labels:
        for aus in ({}, {6: 2, 12: 3}, dict.fromkeys(AUS, 0), {1: 1, 2: 1, 4: 0, 25: 5}):
            for i in range(6):
                record = FaceRecord(id=str(i), source="s", media="a.png", emotion=emotion, label_set="basic8", aus=aus)
                text = render(parts := asked_parts("explain", record), rationale.template(record, 0),
                              dict.fromkeys(record.present_aus), emotion)  # fmt: skip
                assert judge(text, record, parts, 5, 200) == [], text


GIVEN = """
The provided label says happiness.
As labelled, this is anger.
This agrees with the ground truth.
Given that the annotation is fear, the brows fit.
According to the label, this is sadness.
The given emotion is happiness.
The given action units are AU6 and AU12.
The annotators saw a smile.
The correct answer is disgust.
This matches the emotion label.
It is labelled as happiness.
It is labeled happy.
AU4 is coded as absent.
I was told that the person is happy.
The prompt says AU12 is present.
As stated in the prompt, AU12 is active.
You provided AU6 and AU12.
The label is happiness.
The label indicates that AU12 is present.
As coded by the experts, AU6 is present.
Coders found AU6 and AU12.
The listed action units are AU6 and AU12.
The action units listed above fit happiness.
The true label is fear.
This supports the label of anger.
Since we are told the emotion is fear, the lids fit.
Based on the provided information, AU6 is active.
The target emotion label is joy.
The task states that the face is sad.
Consistent with the given emotion, the lips are pulled up.
The answer given is happiness.
The emotion provided is fear.
As requested, I describe AU12.
The ground‑truth emotion is fear.
In this dataset, such a face is sad.
""".strip().splitlines()
HONEST = """
The label on the shirt is red.
A label sewn to the collar shows below the chin.
A name label hangs from the jacket of the person.
Given the raised cheeks, this is happiness.
Given AU6 and AU12, the emotion is happiness.
The emotion, given the raised lip corners, is happiness.
As indicated by the raised cheeks, the smile is real.
As stated above, the brows are lowered.
As noted, the lids are raised.
There is a hint of a smile.
The expected pattern of fear is complete.
I would expect wide eyes in fear.
The true smile reaches the eyes.
The lips are marked by a clear stretch.
The eyes provide the strongest sign.
The mouth gives it away.
The face is given life by the smile.
The expression supports happiness.
The question is whether the brows are lowered.
You can see the teeth.
This leads to the conclusion that the emotion is anger.
The list of signs is short: AU12.
From the brows down, the face tells of sadness.
Based on these findings, the emotion is fear.
Taken together, these facts point to happiness.
The lips, as required for a smile, rise.
These action units fit the emotion.
""".strip().splitlines()


@pytest.mark.parametrize("text", GIVEN)
def test_giving_the_label_away_is_caught(text: str) -> None:
    assert told_fault(text) is not None


@pytest.mark.parametrize("text", HONEST)
def test_honest_sentences_with_the_same_words_pass(text: str) -> None:
    assert told_fault(text) is None


@pytest.mark.parametrize("text", ["I'm sorry, I can't help with that.", "I cannot determine how a person feels.",
                                  "As an AI, I do not see.", "I’m unable to view the image.",
                                  "No image was attached."])  # fmt: skip
def test_refusals_are_caught(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("text", ["The lips can't close.", "I cannot see the teeth.", "The model of calm.",
                                  "The person looks sorry."])  # fmt: skip
def test_inability_of_a_face_is_no_refusal(text: str) -> None:
    assert refused(text) is None


def test_named_gold_counts_the_present_units_that_the_text_claims() -> None:
    assert rationale_checks.named_gold("AU6 is clear, AU12 is not. AU1 too.", RECORD) == 1
