import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from eval.benchmarks.synthetic import SYNTHETIC
from eval.fairness import main, measure, records_of
from eval.frame.predictions import Prediction
from eval.groups import counterfactual
from eval.groups.disparity import Batch, Settings, corrected, disparities, within
from eval.groups.fairness_page import verdict
from eval.groups.rates import class_batches
from eval.groups.subgroups import Factor, band, factors
from eval.run import evaluate
from facevlm.config import ConfigError
from facevlm.generate import Scripted
from facevlm.metrics import mean_of
from facevlm.prompts import gold
from facevlm.record import FaceRecord, RecordWriter, read, write_meta

PROTOCOL = SYNTHETIC.protocols[0]


def record(i=0, **attributes):
    return FaceRecord(id=f"f{i}", source="synthetic", media="x.png", attributes=attributes)


def face(i, said, gold, subject=None, **more):
    return Prediction(id=f"f{i}", source="synthetic", subject=subject, parts=("answer",), task="label", value=said,
                      gold=gold, text=str(said), **more)  # fmt: skip


def by(values):
    return Factor("skin_tone", values, tuple(sorted({v for v in values if v is not None})))


# -- who is compared


@pytest.mark.parametrize(("years", "name"), [(0, "0-2"), (2.9, "0-2"), (30, "30-39"), (39.5, "30-39"),
                                             (70, "70 or more"), (99, "70 or more")])  # fmt: skip
def test_ages_are_banded(years, name):
    assert band(years) == name


def test_ages_below_the_first_band_are_named():
    assert band(12, (18, 65)) == "below 18"


def test_factors_are_those_that_records_carry_and_every_two_crossed():
    some = [record(gender="female", age="31", glasses="no"), record(gender="male", age="8"), record(gender="male")]
    found = {factor.name: factor for factor in factors(some)}
    assert list(found) == ["gender", "age", "gender x age"]
    assert found["age"].values == ["30-39", "3-9", None] and found["age"].order == ("3-9", "30-39")
    assert found["age"].missing == 1
    assert found["gender x age"].order == ("female x 30-39", "male x 3-9") and found["gender x age"].crossed


def test_values_can_be_taken_together():
    some = [record(skin_tone=tone) for tone in "1267"]
    (found,) = factors(some, merge={"skin_tone": {"light": [1, 2], "dark": ["6", "7"]}})
    assert found.values == ["light", "light", "dark", "dark"]


@pytest.mark.parametrize(("by", "why"), [(["race"], "carry gender"), (["id"], "60 values for 60 faces")])
def test_what_makes_no_subgroups_is_refused(by, why):
    with pytest.raises(ConfigError, match=why):
        factors([record(i, gender="male", id=str(i)) for i in range(60)], by)


# -- the numbers


SETTINGS = Settings(repeats=500)


def compared(right, values, settings=SETTINGS, subjects=None):
    n = len(right)
    batch = Batch(list(range(n)), subjects or [None] * n, {"accuracy": mean_of(right)}, {}, frozenset())
    return disparities(batch, by(values), settings)


def test_a_gap_that_is_there_is_found_and_one_that_is_not_is_not():
    half = ["a"] * 100 + ["b"] * 100
    clear = compared([1.0] * 90 + [0.0] * 10 + [1.0] * 50 + [0.0] * 50, half)
    (gap,) = clear.gaps
    assert (gap["highest"], gap["lowest"], gap["worst"]) == ("a", "b", "b")
    assert gap["gap"] == pytest.approx(0.4) and gap["overall"] == pytest.approx(0.7)
    assert gap["worst_minus_overall"] == pytest.approx(-0.2)
    assert gap["ci95"][0] > 0.25 and gap["ci95"][1] < 0.55 and gap["p"] == pytest.approx(1 / 501)
    # The textbook interval of a difference of two shares.
    error = 1.96 * np.sqrt(0.9 * 0.1 / 100 + 0.5 * 0.5 / 100)
    assert gap["ci95"] == pytest.approx([0.4 - error, 0.4 + error], abs=0.03)
    alike = compared([1.0, 0.0] * 100, half)
    assert alike.gaps[0]["gap"] == 0 and alike.gaps[0]["p"] == 1


def test_chance_alone_is_called_a_gap_as_often_as_claimed():
    rng, found = np.random.default_rng(0), []
    for seed in range(100):
        right = (rng.random(240) < 0.7).astype(float)
        found.append(compared(right, list("abcd") * 60, Settings(repeats=100, seed=seed)).gaps[0]["p"])
    # What 100 tests at a level of 0.05 lie within 99 times of 100: a test that forgot the choice of the extremes, the
    # widest of six pairs, would find three times as many.
    assert np.sum(np.array(found) < 0.05) <= 11
    assert 0.35 <= np.mean(np.array(found) < 0.5) <= 0.65


def test_faces_of_one_person_are_drawn_together():
    right, values = [float(i // 10 % 2) for i in range(80)], ["a"] * 40 + ["b"] * 40
    tens = [str(i // 10) for i in range(80)]
    alone, together = (compared(right, values, subjects=people) for people in (None, tens))
    width = [np.diff(table.gaps[0]["ci95"])[0] for table in (alone, together)]
    assert width[1] > 2 * width[0] > 0


def test_a_subgroup_of_three_is_named_without_a_number():
    table = compared([1.0] * 43, ["a"] * 20 + ["b"] * 20 + ["c"] * 3)
    small = table.subgroups[2]
    assert small["subgroup"] == "c" and small["n"] == 3 and small["value"] is None and small["ci95"] is None
    assert small["why"] == "n too small: 3 of at least 20"
    assert table.gaps[0]["left_out"] == ["c"] and table.gaps[0]["compared"] == 2


def test_one_person_gives_a_value_without_an_interval_and_no_gap():
    table = compared([1.0, 0.0] * 20, ["a"] * 20 + ["b"] * 20, subjects=["p"] * 20 + [None] * 20)
    assert table.subgroups[0]["value"] == 0.5 and table.subgroups[0]["ci95"] is None
    assert table.subgroups[0]["why"] == "all of one person: there is no interval"
    assert table.gaps[0]["gap"] is None and "fewer than two subgroups" in table.gaps[0]["why"]


def test_a_subgroup_that_never_varies_is_said_to_make_p_too_small():
    gap = compared([1.0] * 30 + [1.0] * 15 + [0.0] * 15, ["a"] * 30 + ["b"] * 30).gaps[0]
    assert "a: the same in all resamples" in gap["why"]


def test_a_statistic_that_is_no_sum_is_held_to_the_subgroup_too():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    half = within(lambda faces: float(np.median(values[faces])), np.array([True, True, False, False]))
    assert half(np.arange(4)) == 1.5 and np.isnan(half(np.array([2, 3])))


def test_holm_is_over_the_tested_measures_alone():
    gaps = [{"measure": m, "p": p, "p_holm": None} for m, p in (("a", 0.01), ("b", 0.02), ("c", 0.03), ("a", None))]
    assert corrected(gaps, ["a", "b"]) == 2
    assert [gap["p_holm"] for gap in gaps] == [0.02, 0.02, None, None]


def test_recall_and_false_alarms_are_counted_class_by_class():
    golds = ["anger"] * 4 + ["fear"] * 4
    said = ["anger", "anger", None, "fear", "anger", "fear", "fear", "fear"]
    rows = [face(i, s, g) for i, (s, g) in enumerate(zip(said, golds, strict=True))]
    (batch,) = class_batches(rows, PROTOCOL)
    assert batch.measures["recall of anger"](np.arange(8)) == 0.5
    assert batch.measures["false alarms of anger"](np.arange(8)) == 0.25
    assert batch.counted["recall of anger"].sum() == 4 and "false alarms of anger" in batch.low_is_best
    assert "recall of contempt" not in batch.measures  # nobody shows it


def test_aus_count_only_where_they_are_labelled():
    rows = [Prediction(id=str(i), source="synthetic", subject=None, parts=("au",), aus=said, gold_aus=gold,
                       labelled_aus=labelled) for i, (said, gold, labelled) in enumerate([
                           ({12: None}, (12,), (4, 12)), (None, (12,), (4, 12)), ({4: None}, (), (12,)),
                           ({4: None}, (), (4, 12))])]  # fmt: skip
    (batch,) = class_batches(rows, PROTOCOL)
    everyone = np.arange(4)
    assert batch.measures["recall of AU12"](everyone) == 0.5  # an unreadable list misses it
    assert batch.measures["false alarms of AU4"](everyone) == pytest.approx(1 / 3)  # not labelled: not counted


def test_planted_anger_shows_as_false_alarms_of_dark_skin():
    rng, rows, tones = np.random.default_rng(1), [], []
    for i in range(400):
        gold, tone = ("anger", "fear", "neutral", "sadness")[i % 4], "dark" if i % 8 < 4 else "light"
        said = "anger" if tone == "dark" and rng.random() < 0.4 else gold
        rows.append(face(i, said, gold, subject=str(i // 4)))
        tones.append(tone)
    result = measure(rows, PROTOCOL, [by(tones)], Settings(repeats=2000))
    gaps = {gap["measure"]: gap for gap in result["class_gaps"]}
    assert gaps["false alarms of anger"]["worst"] == "dark" and gaps["false alarms of anger"]["p_holm"] < 0.05
    assert gaps["recall of anger"]["gap"] == 0
    tested = {gap["measure"]: gap for gap in result["gaps"] if gap["p_holm"] is not None}
    assert tested["emotion_accuracy"]["lowest"] == "dark" and result["tests"] == 1
    assert result["smallest"] == {"n": 200, "factor": "skin_tone", "subgroup": "dark"}


def test_a_subgroup_of_one_class_carries_a_caveat():
    golds = ["anger"] * 20 + ["fear", "anger"] * 10
    rows = [face(i, g, g) for i, g in enumerate(golds)]
    result = measure(rows, PROTOCOL, [by(["a"] * 20 + ["b"] * 20)], Settings(repeats=0))
    assert any("a: every face is labelled anger" in caveat for caveat in result["caveats"])
    assert json.dumps(result, allow_nan=False)


# -- only the trait changes


def group(pair, answers, golds=None, tones="147", **more):
    rows = [face(f"{pair}-{t}", said, (golds or ["fear"] * 3)[i], subject=f"p{pair}", **more)
            for i, (t, said) in enumerate(zip(tones, answers, strict=True))]  # fmt: skip
    records = [FaceRecord(id=row.id, source="synthetic", media="x.png", subject=row.subject,
                          attributes={"pair": str(pair), "subgroup": t, "skin_tone": t, "age_group": "old"})
               for row, t in zip(rows, tones, strict=True)]  # fmt: skip
    return rows, {(r.source, r.id): r for r in records}


def probed(*groups):
    rows = [row for some, _ in groups for row in some]
    return counterfactual.probe(rows, {k: v for _, records in groups for k, v in records.items()}, repeats=200)


def test_the_share_of_groups_that_move_and_between_what():
    still = [group(i, ["fear", "fear", "fear"]) for i in range(6)]
    dark = [group(6 + i, ["fear", "fear", "anger"]) for i in range(3)]
    unread = [group(9, ["fear", None, "fear"])]
    result = probed(*still, *dark, *unread)
    moved = {row["what"]: row for row in result["moved"]}
    assert result["changed"] == "skin_tone" and result["groups"] == 10 and result["faces"] == 30
    assert moved["answer"]["value"] == pytest.approx(0.4) and moved["answer"]["n"] == 10
    assert moved["answer, 1 against 4"]["value"] == pytest.approx(0.1)
    assert moved["answer, 1 against 7"]["value"] == pytest.approx(0.3)
    low, high = moved["answer"]["ci95"]
    assert low < 0.4 < high


def test_groups_that_cannot_be_compared_are_counted_by_reason():
    result = probed(group(0, ["fear"] * 3), group(1, ["fear"] * 3, ["fear", "fear", "anger"]),
                    group(2, ["fear"], ["fear"], tones="1"))  # fmt: skip
    assert result["groups"] == 1
    assert result["left_out"] == {"group with different labels": 1, "group of one value": 1}


def test_au_lists_are_compared_over_what_is_labelled_in_all():
    rows, records = group(0, ["fear"] * 3)
    said, known = ({12: None, 4: None}, {12: None}, {12: None}), ((4, 12), (12,), (4, 12))
    listed = [replace(row, parts=("au", "answer"), aus=aus, gold_aus=(12,), labelled_aus=labelled)
              for row, aus, labelled in zip(rows, said, known, strict=True)]  # fmt: skip
    moved = {row["what"]: row["value"] for row in counterfactual.probe(listed, records, repeats=0)["moved"]}
    assert moved["AU list"] == 0 and moved["AUs that differ"] == 0  # AU4 is not labelled in all
    worse = [listed[0], listed[1], replace(listed[2], aus={})]
    moved = {row["what"]: row["value"] for row in counterfactual.probe(worse, records, repeats=0)["moved"]}
    assert moved["AU list"] == 1 and moved["AUs that differ"] == 1


def test_groups_that_say_nothing_are_not_called_still():
    result = probed(group(0, [None] * 3), group(1, [None] * 3))
    assert result["unreadable"] == 2
    assert {row["what"]: (row["value"], row["ci95"], row["n"]) for row in result["moved"]}["answer"] == (None, None, 0)
    assert probed(group(0, [None] * 3), group(1, ["fear"] * 3))["moved"][0]["n"] == 1


def test_records_in_no_groups_give_no_probe():
    rows, records = [face(0, "fear", "fear")], {("synthetic", "f0"): record(0)}
    assert counterfactual.probe(rows, records) is None


# -- the command


class Closed(HTMLParser):
    """Every tag is closed by its own end."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def finished(made, config, oracle, tmp_path):
    """A finished run over records with attributes."""
    folder, records = made
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    writer = RecordWriter(labelled)
    for i, one in enumerate(records):
        writer.add(replace(one, attributes={"gender": ("female", "male")[i % 2], "skin_tone": str(1 + i // 8),
                                            "<b>": "x"}))  # fmt: skip
    writer.flush()
    write_meta(labelled, folder)
    settings = config(records=str(labelled))
    evaluate(settings, oracle())
    return Path(settings.out)


def test_the_command_writes_tables_and_a_page(finished, tmp_path, capsys):
    out = tmp_path / "fair"
    main([str(finished), "--by", "gender,skin_tone", "--out", str(out), "least=8", "bootstrap=100"])
    result = json.loads((out / "fairness.json").read_text())
    assert result["by"] == ["gender", "skin_tone", "gender x skin_tone"] and result["counterfactual"] is None
    rows = pq.read_table(out / "subgroups.parquet").to_pylist()
    women = [row for row in rows if row["subgroup"] == "female" and row["measure"] == "emotion_accuracy"]
    assert women[0]["value"] == 1 and women[0]["n"] == 12 and women[0]["people"] == 12
    crossed = [row for row in rows if row["subgroup"] == "female x 1" and row["measure"] == "emotion_accuracy"]
    assert crossed[0]["n"] == 4 and crossed[0]["value"] is None and "n too small" in crossed[0]["why"]
    assert pq.read_table(out / "gaps.parquet").num_rows == len(result["gaps"]) + len(result["class_gaps"])
    html = (out / "fairness.html").read_text()
    assert Closed(html).tags.count("svg") > 20 and "n too small: 4 of at least 8" in html and "http" not in html[4000:]
    said = capsys.readouterr().out
    assert "fairness.html" in said and "The smallest subgroup is gender x skin tone" in said


def test_answers_nobody_can_read_are_not_called_equal(finished, config, parrot, tmp_path):
    labelled = json.loads((finished / "run.json").read_text())["config"]["records"]
    evaluate(config(records=labelled, out=str(tmp_path / "mute")), parrot("yes"))
    main([str(tmp_path / "mute"), "bootstrap=50"])
    result = json.loads((tmp_path / "mute" / "fairness" / "fairness.json").read_text())
    assert result["untested"] == "none of the 24 answers can be read"
    assert not result["gaps"] and not result["subgroups"] and result["tests"] == 0
    assert verdict(result) == "mute: nothing to test: none of the 24 answers can be read."
    html = (tmp_path / "mute" / "fairness" / "fairness.html").read_text()
    assert Closed(html) and "nothing to test" in html and "0.000" not in html


@pytest.fixture
def paired(made, config, oracle, tmp_path):
    """A finished run over faces in groups of two that are drawn alike in what is labelled."""
    folder, records = made
    (tmp_path / "paired").mkdir()
    writer = RecordWriter(tmp_path / "paired")
    for i in range(0, len(records), 2):
        for tone in "15":
            writer.add(replace(records[i], id=f"{records[i].id}-{tone}",
                               attributes={"pair": records[i].id, "subgroup": tone, "skin_tone": tone}))  # fmt: skip
    writer.flush()
    write_meta(tmp_path / "paired", folder)
    settings = config(records=str(tmp_path / "paired"), out=str(tmp_path / "run-paired"))
    said = [gold(record, ("au", "answer")) for record in read(tmp_path / "paired").records]
    evaluate(settings, Scripted(iter_script(said)))
    return Path(settings.out)


def iter_script(texts):
    left = iter(texts)
    return lambda request: next(left)


def test_what_moves_may_be_looked_at_in_another_run_of_the_same_model(finished, paired):
    main([str(finished), f"pairs={paired}", "bootstrap=50"])
    pairs = json.loads((finished / "fairness" / "fairness.json").read_text())["counterfactual"]
    assert pairs["groups"] == 12 and pairs["changed"] == "skin_tone"
    assert pairs["moved"][0]["what"] == "answer" and pairs["moved"][0]["value"] == 0
    assert "differ in nothing but skin tone" in (finished / "fairness" / "fairness.html").read_text()


def test_pairs_of_another_model_or_in_no_groups_are_refused(finished, paired, tmp_path):
    with pytest.raises(SystemExit, match="are in no groups"):
        main([str(finished), f"pairs={finished}"])
    facts = json.loads((paired / "run.json").read_text())
    facts["fingerprint"]["weights"] = [["model.safetensors", 1, 2]]
    (paired / "run.json").write_text(json.dumps(facts))
    with pytest.raises(SystemExit, match="is a run of another model than"):
        main([str(finished), f"pairs={paired}"])


def test_by_default_the_known_attributes_are_taken(finished):
    main([str(finished), "bootstrap=0"])
    result = json.loads((finished / "fairness" / "fairness.json").read_text())
    assert result["by"] == ["gender", "skin_tone", "gender x skin_tone"]
    assert "no gap could be tested" in verdict(result)


def test_records_without_attributes_are_refused(config, oracle, capsys):
    evaluate(config(), oracle())
    with pytest.raises(SystemExit, match="carry neither gender"):
        main([config().out])


def test_other_records_are_refused(finished, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    writer = RecordWriter(other)
    writer.add(record(1, gender="male"))
    writer.flush()
    write_meta(other, None)
    with pytest.raises(SystemExit, match="24 of 24 answers are about no record"):
        main([str(finished), f"records={other}"])
    with pytest.raises(ConfigError, match="cannot be read"):
        records_of(finished, str(tmp_path / "nowhere"))
