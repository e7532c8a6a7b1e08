"""Each family of benchmarks on a few faces and answers, against numbers worked out by hand."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score, recall_score

from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import face_of, find_aus, pick, truth
from eval.frame.folders import read_together
from eval.frame.job import EvalConfig, select
from eval.frame.predictions import Prediction, read_predictions, with_truth
from eval.frame.question import Question
from eval.frame.scoring import score
from eval.run import evaluate
from eval.scores.ratings import kappas, rank_correlations
from facevlm.answer import parse
from facevlm.generate import Scripted
from facevlm.prompts import gold
from facevlm.record import FaceRecord, RecordWriter, read, write_meta
from facevlm.tasks import TASKS
from facevlm.vocab import LABEL_SETS, PROTOCOLS

Answers = Sequence[str] | Callable[[Question], str]
Chances = Mapping[str, float]


def face(source: str, i: int = 0, **labels: Any) -> FaceRecord:
    return FaceRecord(str(i), source, f"{i}.jpg", split="test", **labels)


def asked(name: str, protocol: str | None, faces: Sequence[FaceRecord], mode: Any = "fast") -> list[Question]:
    config = EvalConfig(name, "x", "tiny", "x", mode=mode)
    return select(config, BENCHMARKS[name], pick(BENCHMARKS[name], protocol), faces)[0]


def scores(name: str, protocol: str | None, faces: Sequence[FaceRecord], answers: Answers,
           chances: Sequence[Chances | None] | None = None, mode: Any = "fast") -> dict[str, Any]:  # fmt: skip
    """The answers, read strictly and scored by the protocol."""
    one, rows = pick(BENCHMARKS[name], protocol), []
    questions = asked(name, protocol, faces, mode)
    texts = [answers(q) for q in questions] if callable(answers) else list(answers)
    for q, text, known in zip(questions, texts, chances or [None] * len(texts), strict=True):
        said = parse(text, q.parts, q.labels or None, TASKS[q.task].form)
        row = Prediction(q.record.id, q.record.source, q.record.subject, q.parts, q.task, q.labels, text,
                         aus=said.aus, value=said.value, faults=said.faults, probabilities=known)  # fmt: skip
        rows.append(with_truth(row, q.record, truth(q.record, find_aus(one.aus))))
    return score(rows, one, repeats=0)


def answer(*texts: object) -> list[str]:
    return [f"<answer>{text}</answer>" for text in texts]


def aus(*texts: str) -> list[str]:
    return [f"<au>{text}</au>" for text in texts]


def about(label_set: str, *emotions: str, source: str) -> list[FaceRecord]:
    return [face(source, i, emotion=emotion, label_set=label_set) for i, emotion in enumerate(emotions)]


# -- emotions


def test_affectnet_7_leaves_contempt_out_of_faces_and_question() -> None:
    faces = about("affectnet8", "happiness", "sadness", "contempt", source="affectnet")
    seven = scores("affectnet", "affectnet-7", faces, answer("happiness", "happiness"), mode="label")
    assert (seven["n"], seven["emotion_accuracy"]) == (2, 0.5)
    assert not any("contempt" in q.text for q in asked("affectnet", "affectnet-7", faces))
    eight = scores("affectnet", "affectnet-8", faces, answer("happiness", "happiness", "contempt"), mode="label")
    assert (eight["n"], eight["emotion_accuracy"]) == (3, pytest.approx(2 / 3))


def test_affect_is_the_mean_of_both_concordances() -> None:
    faces = [face("affectnet", i, valence=v, arousal=v) for i, v in enumerate((0.0, 1.0))]
    one = scores("affectnet", "affectnet-va", faces, answer("valence 0.5, arousal 0", "valence 1, arousal 1"))
    # Valence: covariance 1/8, variances 1/16 and 1/4, squared gap of the means 1/16.
    assert one["valence_ccc"] == pytest.approx((2 / 8) / (1 / 16 + 1 / 4 + 1 / 16))
    assert one["affect_ccc"] == pytest.approx((2 / 3 + 1) / 2) and one["valence_rmse"] == pytest.approx(0.125**0.5)


def test_ferbench_mixes_sets_each_with_its_own_emotions() -> None:
    faces = [*about("rafdb", "surprise", source="rafdb"), *about("ferplus", "contempt", source="ferplus"),
             *about("caer", "anger", source="sfew"), face("rafdb", 9, emotion="sadly angry",
                                                          label_set="rafdb-compound")]  # fmt: skip
    questions = asked("ferbench", None, faces)
    assert [len(q.labels) for q in questions] == [7, 8, 7]
    one = scores("ferbench", None, faces, answer("surprise", "contempt", "fear"), mode="label")
    assert one["emotion_accuracy"] == pytest.approx(2 / 3)
    # Seven classes hold contempt only where it is on offer.
    assert scores("ferbench", None, faces, answer("contempt", "contempt", "anger"), mode="label")[
        "emotion_accuracy"] == pytest.approx(2 / 3)  # fmt: skip


def test_votes_are_scored_by_what_shares_have_in_common() -> None:
    faces = [face("ferplus", 0, label_set="ferplus", emotion_probs={"fear": 0.5, "surprise": 0.5})]
    assert scores("ferplus", "ferplus-votes", faces, answer("fear 100%"))["shares_overlap"] == pytest.approx(0.5)


def test_uar_counts_classes_alike_and_war_faces() -> None:
    faces = about("dfew", "happiness", "happiness", "sadness", source="dfew")
    one = scores("dfew", None, faces, answer("happiness", "sadness", "sadness"), mode="label")
    assert one["emotion_accuracy"] == pytest.approx(2 / 3) and one["emotion_uar"] == pytest.approx(0.75)
    assert any("not by person" in caveat for caveat in one["caveats"])


def test_expressions_of_affwild2_are_scored_by_macro_f1() -> None:
    faces = about("affwild2", "other", "other", "anger", source="affwild2-expr")
    one = scores("affwild2", "affwild2-expr", faces, answer("other", "anger", "anger"), mode="label")
    assert one["emotion_macro_f1"] == pytest.approx(2 / 3)


def test_compound_expressions_need_no_reader() -> None:
    faces = about("cexpr", "fearfully surprised", "sadly angry", source="cexpr")
    assert all(len(q.labels) == 7 for q in asked("cexpr", None, faces))
    assert scores("cexpr", None, faces, answer("sadly angry", "sadly angry"))["emotion_macro_f1"] == \
        pytest.approx((0 + 2 / 3) / 2)  # fmt: skip


def test_micro_expressions_pool_people_before_uf1_and_uar() -> None:
    labels = ("disgust", "disgust", "happiness", "surprise")
    faces = [replace(one, subject=str(i // 2)) for i, one in enumerate(about("casme2", *labels, source="casme2"))]
    said = ("disgust", "happiness", "happiness", "disgust")
    one = scores("casme2", None, faces, answer(*said), mode="label")
    names = sorted(set(labels))
    assert one["emotion_macro_f1"] == pytest.approx(f1_score(labels, said, average="macro", labels=names))
    assert one["emotion_uar"] == pytest.approx(recall_score(labels, said, average="macro", labels=names))


def test_megc_takes_three_classes_of_two_sets_and_no_other() -> None:
    faces = [*about("megc3", "negative", source="casme2"), *about("megc3", "positive", source="samm"),
             face("casme2", 5, emotion="disgust", label_set="casme2")]  # fmt: skip
    assert len(asked("megc", None, faces)) == 2 and len(asked("megc", "megc-samm", faces)) == 1
    assert scores("megc", None, faces, answer("negative", "negative"), mode="label")["emotion_uar"] == 0.5


# -- action units


def test_bp4d_counts_its_twelve_aus_from_a_trace_on() -> None:
    faces = [face("bp4d", 0, aus={12: 1, 25: 1, 6: 0}), face("bp4d", 1, aus={12: 0, 6: 1}),
             face("bp4d", 2, aus={25: 1})]  # fmt: skip
    one = scores("bp4d", None, faces, aus("AU12, AU25", "AU12"))
    # AU12: one hit, one too many, 2/3; AU6: missed, 0; AU25 is not of the protocol.
    assert one["n"] == 2 and one["au_macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_rare_aus_of_rafau_do_not_count_and_gft_has_ten() -> None:
    every = dict.fromkeys(PROTOCOLS["RAF-AU-24"].aus, 0.0)
    one = scores("rafau", None, [face("rafau", 0, aus=every | {1: 1, 43: 1})], aus("AU1"))
    assert one["au_macro_f1"] == one["au_micro_f1"] == 1 and len(one["per_au"]) == 24
    assert len(scores("gft", None, [face("gft", 0, aus={1: 1})], aus("AU1"))["per_au"]) == 10


def test_fea20k_takes_unlisted_aus_as_absent() -> None:
    faces = [face("fea20k", 0, aus={4: 1}), face("fea20k", 1, aus={1: 1, 4: 1})]
    one = scores("fea20k", "fea20k-au", faces, aus("AU1, AU4", "none"))
    # AU1: one too many, one missed; AU4: a hit, one missed.
    assert one["au_macro_f1"] == pytest.approx((0 + 2 / 3) / 2) and one["au_micro_f1"] == pytest.approx(2 / 5)


def test_pain_is_a_number_and_a_yes_or_no() -> None:
    faces = [face("unbc", i, subject=str(i), attributes={"pain": p}) for i, p in enumerate(("0", "0", "4", "2"))]
    one = scores("unbc", None, faces, answer(0, 1, 3, "much"))
    # What cannot be read stands at 16, the farther end from 2, and counts as no pain for the F1.
    assert one["number_mae"] == pytest.approx((0 + 1 + 1 + 14) / 4)
    assert one["pain_f1"] == pytest.approx(2 * 1 / (2 + 2)) and one["pain_auc"] == 1
    assert one["number_pcc"] == pytest.approx(np.corrcoef([0, 1, 3, 16], [0, 0, 4, 2])[0, 1])


# -- words


def test_hit_rate_forgives_long_lists_and_precision_does_not() -> None:
    faces = about("mer", "worry", "neutral", source="mer2023")
    one = scores("merunibench", "mer-unibench-mer2023", faces, answer("anxious, cheerful", "sad"))
    assert (one["words_hit_rate"], one["words_precision"], one["words_f1"]) == (0.5, 0.25, pytest.approx(1 / 3))


def test_sentiment_is_the_sign_of_most_words_and_neutral_faces_are_left_out() -> None:
    faces = [face("cmu-mosi", i, valence=v) for i, v in enumerate((0.6, -0.4, 0.0, -1.0))]
    said = answer("delighted, surprised", "happy, sad", "furious")
    one = scores("merunibench", "mer-unibench-cmu-mosi", faces, said)
    # A tie is wrong: positive F1 1 of 1 face, negative F1 2/3 of 2.
    assert one["n"] == 3 and one["sentiment_weighted_f1"] == pytest.approx((1 + 2 * 2 / 3) / 3)
    assert one["sentiment_accuracy"] == pytest.approx(2 / 3) and one["no_sentiment"] == 1


def test_only_words_that_people_checked_are_the_fine_grained_part() -> None:
    faces = [face("mer2025", i, emotion_words=("shy", "happy"), attributes={"described_by": by})
             for i, by in enumerate(("ovmerd", "mercaptionplus"))]  # fmt: skip
    for name, protocol in (("merunibench", "mer-unibench-ov"), ("emer", "emer-words")):
        one = scores(name, protocol, faces, answer("delighted"))
        assert one["n"] == 1 and (one["words_precision"], one["words_recall"]) == (1, 0.5)


def test_rege_is_given_as_published_and_mended() -> None:
    faces = [face("fabainstruct", i, caption=text) for i, text in enumerate(("A neutral face.", "Pure anger."))]
    faces = [replace(one, id=f"eval_emotion/{one.id}") for one in faces]
    one = scores("fabainstruct", "faba-emotion", faces, answer("The nose is calm. It is anger.", "Pure anger."))
    # As published, "nose" drops the first sentence: anger is read instead of neutral.
    assert (one["faba_accuracy"], one["faba_accuracy_published"]) == (1, 0.5)
    assert one["rege_emotion"] == pytest.approx(1 + one["text_rouge_l"]) and one["rouge_l"] == one["text_rouge_l"]
    assert one["rege_emotion_published"] == pytest.approx(0.5 + one["rouge_l_published"])


def test_denied_aus_count_as_named_only_as_published() -> None:
    texts = ("AU4 - Brow Lowerer: it shows.", "AU12 is there.")
    faces = [replace(face("fabainstruct", i, caption=text), id=f"eval_au/{i}") for i, text in enumerate(texts)]
    one = scores("fabainstruct", "faba-au", faces, answer("There is no AU4.", "AU12 is there."))
    assert one["faba_au_f1"] == pytest.approx((0 + 1) / 2) and one["faba_au_f1_published"] == 1
    assert one["rege_au"] == pytest.approx(0.5 + one["rouge_l"])
    listed = [replace(r, aus={4: 1.0} if i == 0 else {12: 1.0}) for i, r in enumerate(faces)]
    assert scores("fabainstruct", "faba-au-list", listed, aus("AU4, AU12", "AU12"))["au_macro_f1"] == \
        pytest.approx((1 + 2 / 3) / 2)  # fmt: skip


# -- ratings, attributes, ages, levels


def test_emotions_are_rated_one_by_one_and_unreliable_ones_apart() -> None:
    rated = [{"intensity of elation": a, "intensity of interest": b} for a, b in (("0", "0"), ("6.6", "7"))]
    faces = [face("emonetface-hq", i, attributes=given) for i, given in enumerate(rated)]
    said = {"0::elation": 0, "0::interest": 7, "1::elation": 7, "1::interest": 0}
    one = scores("emonetface", "emonet-hq", faces, lambda q: answer(said[q.record.id])[0])
    assert one["n"] == 4 and one["n_subjects"] == 2 and one["rating_kappa"] == pytest.approx(0)
    assert [row["kappa"] for row in one["per_emotion"]] == pytest.approx([1, -1])
    reliable = scores("emonetface", "emonet-hq-reliable", faces, lambda q: answer(said[q.record.id])[0])
    assert reliable["n"] == 2 and reliable["rating_kappa"] == reliable["rating_spearman"] == pytest.approx(1)


def test_agreement_of_ratings_is_that_of_scikit_learn_and_scipy() -> None:
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 8, 200), rng.integers(0, 8, 200)
    said = np.where(rng.random(200) < 0.5, true, said)
    tables = np.zeros((2, 8, 8))
    np.add.at(tables[0], (said, true), 1)
    tables[1, 3, :2] = 5  # one grade for every face
    assert kappas(tables) == pytest.approx([cohen_kappa_score(said, true, weights="quadratic"), 0])
    assert rank_correlations(tables) == pytest.approx([spearmanr(said, true).statistic, 0])


def test_binary_emotions_are_attributes_of_what_raters_agreed_on() -> None:
    faces = [face("emonetface-binary", i, attributes=given) for i, given in enumerate((
        {"shows awe": "yes", "shows interest": "no"}, {"shows awe": "no", "shows fear": "yes"}))]  # fmt: skip
    one = scores("emonetface", "emonet-binary", faces, answer("shows awe", "shows awe, shows fear"))
    assert one["attribute_f1"] == pytest.approx((2 / 3 + 1) / 2)  # nobody has interest
    assert asked("emonetface", "emonet-binary-reliable", faces)[0].labels == ("shows awe",)


def celebrity(i: int) -> FaceRecord:
    given = {f"trait {k:02}": "yes" if k % 2 else "no" for k in range(39)}
    return face("celeba", i, attributes={**given, "gender": "male"})


def test_forty_attributes_are_asked_ten_at_a_time() -> None:
    questions = asked("celeba", None, [celebrity(0)])
    assert [len(q.labels) for q in questions] == [10] * 4 and "male" in questions[0].labels
    assert [q.record.id for q in questions] == [f"0::{i}" for i in range(1, 5)]
    assert {face_of(q.record.id) for q in questions} == {"0"}
    right = scores("celeba", None, [celebrity(0)], lambda q: gold(q.record, q.parts, q.task))
    assert right["attribute_accuracy"] == 1 and len(right["per_attribute"]) == 40 and right["n_subjects"] == 1
    # Nineteen traits of 39, and "male", are there: naming none is right for the other twenty.
    assert scores("celeba", None, [celebrity(0)], lambda q: answer("none")[0])["attribute_accuracy"] == 0.5


def test_ages_in_years_and_in_groups() -> None:
    faces = [face("utkface", i, attributes={"age": age}) for i, age in enumerate(("20", "40", "60"))]
    one = scores("utkface", None, faces, answer(25, 46, "old"))
    assert one["number_mae"] == pytest.approx((5 + 6 + 60) / 3) and one["age_cs5"] == pytest.approx(1 / 3)
    groups = [face("fairface", i, attributes={"age_group": g}) for i, g in enumerate(("0-2", "20-29", "more than 70"))]
    two = scores("fairface", "fairface-age", groups, answer("0-2", "30-39", "ancient"))
    assert two["choice_accuracy"] == pytest.approx(1 / 3) and two["level_mse"] == pytest.approx((0 + 1 + 64) / 3)


def test_beauty_is_correlated_with_the_mean_rating() -> None:
    true = (1.5, 2.5, 4.5)
    faces = [face("scutfbp", i, attributes={"beauty": str(b)}) for i, b in enumerate(true)]
    one = scores("scutfbp", None, faces, answer(2, 2, 5))
    assert one["number_pcc"] == pytest.approx(np.corrcoef((2, 2, 5), true)[0, 1])
    assert (one["number_mae"], one["number_rmse"]) == pytest.approx((0.5, 0.5))


def test_engagement_has_levels_in_order() -> None:
    faces = [face("daisee", i, attributes={"engagement": str(i)}) for i in range(4)]
    said = ("low", "low", "very low", "lots")
    one = scores("daisee", None, faces, answer(*said))
    # An answer that cannot be read is the level farthest from the truth: very low for very high.
    assert one["choice_accuracy"] == 0.25 and one["level_mse"] == pytest.approx((1 + 0 + 4 + 9) / 4)
    assert one["level_kappa"] == pytest.approx(cohen_kappa_score([1, 1, 0, 0], [0, 1, 2, 3], weights="quadratic"))


def test_ambivalence_is_looked_for_by_its_probability() -> None:
    faces = [face("bah", i, subject=str(i), attributes={"ambivalence": a}) for i, a in enumerate(("yes", "no", "no"))]
    chances = [{"yes": 0.6, "no": 0.4}, {"yes": 0.7, "no": 0.3}, {"yes": 0.1, "no": 0.9}]
    one = scores("bah", None, faces, answer("yes", "yes", "no"), chances)
    assert one["choice_macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2) and one["detection_f1"] == pytest.approx(2 / 3)
    assert one["detection_ap"] == pytest.approx(average_precision_score([1, 0, 0], [0.6, 0.7, 0.1]))
    assert one["detection_auc"] == 0.5
    without = scores("bah", None, faces, answer("yes", "yes", "maybe"))
    # What cannot be read is the wrong one: a third yes.
    assert without["detection_f1"] == pytest.approx(2 / (3 + 1))
    assert "probabilities" in without["undefined"]["detection_ap"]


def fake(i: int, method: str | None = None, subject: str = "000", source: str = "faceforensics") -> FaceRecord:
    labels = {"authenticity": "fake", "manipulation": method} if method else {"authenticity": "real"}
    return face(source, i, subject=subject, attributes=labels)


def test_fakes_of_four_methods_and_no_actors() -> None:
    faces = [fake(0), fake(1, "Deepfakes"), fake(2, "FaceSwap"), fake(3, "FaceShifter"), fake(4, subject="actor 01")]
    one = scores("faceforensics", None, faces, answer("fake", "fake", "fake"), mode="label")
    assert one["n"] == 3 and one["choice_accuracy"] == pytest.approx(2 / 3) and one["choice_uar"] == 0.5
    assert len(asked("faceforensics", "ffpp-faceswap", faces)) == 2


def test_celebdf_is_ranked_by_the_probability_of_fake() -> None:
    faces = [fake(0, source="celebdf"), fake(1, "face swap", source="celebdf"), fake(2, "face swap", source="celebdf")]
    chances = [{"real": 1 - p, "fake": p} for p in (0.4, 0.3, 0.9)]
    one = scores("celebdf", None, faces, answer("real", "real", "fake"), chances, mode="label")
    assert one["choice_auc"] == 0.5 and one["choice_accuracy"] == pytest.approx(2 / 3)
    silent = scores("celebdf", None, faces, answer("real", "real", "fake"), mode="label")
    assert silent["choice_auc"] is None and "mode label" in silent["undefined"]["choice_auc"]


# -- through the command


def folder(made: Any, place: Path, faces: Sequence[FaceRecord]) -> Path:
    shutil.copytree(made[0], place)
    (place / "records-00000.parquet").unlink()
    writer = RecordWriter(place)
    writer.add(*faces)
    writer.flush()
    write_meta(place, None)
    return place


def test_a_face_asked_several_times_is_one_face_and_one_subject(made, records, config, tmp_path) -> None:
    faces = [replace(celebrity(i), media=r.media, subject=r.subject) for i, r in enumerate(records[:6])]
    place = folder(made, tmp_path / "celeba", faces)
    right = {q.text: gold(q.record, q.parts, q.task) for q in asked("celeba", None, faces)}
    summary = evaluate(config(benchmark="celeba", records=str(place)), Scripted(lambda request: right[request.text]))
    assert summary["n"] == 24 and summary["n_subjects"] == 3 and summary["attribute_accuracy"] == 1
    assert any(caveat.startswith("6 faces of 19962") for caveat in summary["caveats"])
    rows = read_predictions(Path(config().out, "predictions.jsonl"))
    assert len({row.key for row in rows}) == 24 and len({face_of(row.id) for row in rows}) == 6
    assert "<img" in Path(config().out, "report.html").read_text()


def test_sets_in_several_folders_are_one_test(made, records, config, tmp_path) -> None:
    labels = LABEL_SETS["rafdb"].labels
    first = [replace(r, source="rafdb", label_set="rafdb", emotion=labels[0], aus={}) for r in records[:3]]
    second = [replace(r, source="sfew", label_set="caer", emotion=labels[i]) for i, r in enumerate(records[:2])]
    places = [folder(made, tmp_path / name, faces) for name, faces in (("a", first), ("b/c", second))]
    both = read_together(f"{places[0]}, {places[1]}")
    assert [r.source for r in both.records] == ["rafdb"] * 3 + ["sfew"] * 2
    assert all(both.path(r).is_file() for r in both.records)
    assert read_together(str(places[0])) == read(places[0])
    with pytest.raises(ValueError, match="hold record face-000 of rafdb twice"):
        read_together(f"{places[0]},{places[0]}")
    summary = evaluate(config(benchmark="ferbench", records=f"{places[0]},{places[1]}", mode="label"),
                       Scripted(lambda _: "<answer>surprise</answer>"))  # fmt: skip
    assert summary["n"] == 5 and summary["emotion_accuracy"] == pytest.approx(4 / 5)


def test_an_owners_fold_says_that_it_is_one_of_several(made, records, config, tmp_path) -> None:
    faces = [replace(r, source="dfew", label_set="dfew", emotion="fear", subject=None) for r in records[:4]]
    place = folder(made, tmp_path / "dfew", faces)
    summary = evaluate(config(benchmark="dfew", records=str(place), mode="label"),
                       Scripted(lambda _: "<answer>fear</answer>"))  # fmt: skip
    said = " | ".join(summary["caveats"])
    assert "one of the owner's folds" in said and "one model over all people" not in said
