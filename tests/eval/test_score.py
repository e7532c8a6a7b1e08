import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eval.compare import CompareConfig, compare
from eval.elsewhere.job import ScoreConfig
from eval.frame.predictions import read_predictions
from eval.pool import PoolConfig, pool
from eval.run import evaluate
from eval.score import main, score_outputs
from facevlm.config import ConfigError
from facevlm.prompts import gold
from facevlm.record import RecordWriter, write_meta


@pytest.fixture
def scored(made, tmp_path):
    """Scores a file of that content, over the drawn faces."""

    def run(text, name="theirs.csv", **keys):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else "\n".join(text) + "\n", encoding="utf-8")
        values = {"predictions": [str(path)], "benchmark": "synthetic", "records": str(made[0]), "bootstrap": 10,
                  "out": str(tmp_path / "out"), "gallery": 2, "reader": "labels"}  # fmt: skip
        return score_outputs(ScoreConfig(**{**values, **keys}))

    return run


def listed(record):
    return " ".join(map(str, record.present_aus)) or "none"


def table(records, sign=","):
    """The truth as a table of labels."""
    lines = [sign.join((record.id, str(record.emotion), listed(record))) for record in records]
    return [sign.join(("id", "emotion", "aus")), *lines]


def texts(records, key="text"):
    """The truth as JSON lines in the answer form."""
    return [json.dumps({"id": record.id, key: gold(record, ("au", "answer"))}) for record in records]


def test_the_truth_scores_full_marks_in_every_form(scored, records):
    for summary in (scored(table(records)), scored(table(records, ";")), scored(table(records, "\t"), "a.tsv"),
                    scored(texts(records), "a.jsonl", reader="strict")):  # fmt: skip
        assert summary["n"] == 24 and summary["n_subjects"] == 12 and summary["ci95_by"] == "subject"
        for metric in ("emotion_accuracy", "emotion_uar", "au_macro_f1", "au_set_f1"):
            assert summary[metric] == pytest.approx(1) and summary["ci95"][metric] == pytest.approx([1, 1])


def test_the_numbers_are_those_of_a_run_with_the_same_answers(scored, records, config, parrot, tmp_path):
    ours = evaluate(config(out=str(tmp_path / "ours")), parrot("<au>AU12, AU4</au><answer>fear</answer>"))
    theirs = scored(["id,emotion,aus", *(f"{r.id},fear,AU04+AU12" for r in records)], bootstrap=20)
    for key in ("emotion_accuracy", "emotion_uar", "au_macro_f1", "au_micro_f1", "per_au", "ci95", "confusion"):
        assert theirs[key] == ours[key], key


def test_the_files_are_those_of_a_run(scored, records, config, oracle, tmp_path):
    ours = evaluate(config(out=str(tmp_path / "ours")), oracle())
    summary = scored(table(records), model="A model of theirs")
    out = tmp_path / "out"
    assert json.loads((out / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert ours.keys() - summary.keys() == set() and summary["engine"] == "elsewhere"
    assert summary["model"] == "A model of theirs" and summary["seconds"] is None and summary["prompt"] is None
    assert [row.id for row in read_predictions(out / "predictions.jsonl")] == [record.id for record in records]
    assert pq.read_table(out / "predictions.parquet").num_rows == 24
    assert "data:image/jpeg" in (out / "report.html").read_text() and (out / "config.yaml").is_file()


def test_compare_takes_it_beside_a_run_of_ours(scored, records, config, oracle, tmp_path):
    evaluate(config(out=str(tmp_path / "ours")), oracle())
    scored(["id,emotion,aus", *(f"{r.id},fear,12" for r in records)])
    both = CompareConfig([str(tmp_path / "out"), str(tmp_path / "ours")], str(tmp_path / "both"), bootstrap=10,
                         names="theirs,ours")  # fmt: skip
    found = {one["metric"]: one["value"] for one in compare(both)["differences"]}
    assert found["emotion_accuracy"] == pytest.approx(7 / 8)


def test_a_scored_file_does_not_overwrite_a_run(scored, records, config, oracle, tmp_path):
    evaluate(config(out=str(tmp_path / "out")), oracle())
    with pytest.raises(ConfigError, match="holds a run of eval.run; choose another out"):
        scored(table(records))


def test_folds_scored_elsewhere_are_pooled(scored, records, tmp_path):
    halves = [records[:12], records[12:]]
    for i, some in enumerate(halves):
        scored(table(some), missing="skip", out=str(tmp_path / f"fold{i}"), model=f"fold {i}")
    summary = pool(PoolConfig([str(tmp_path / "fold0"), str(tmp_path / "fold1")], str(tmp_path / "all"), bootstrap=10))
    assert summary["n"] == 24 and summary["emotion_accuracy"] == 1 and summary["images_per_second"] is None


# -- ids


def test_missing_faces_are_refused_counted_wrong_or_left_out(scored, records):
    with pytest.raises(ConfigError, match="4 of 24 faces have no prediction, e.g. face-000, face-001, face-002; set"):
        scored(table(records[4:]))
    wrong = scored(table(records[4:]), missing="wrong")
    assert wrong["n"] == 24 and wrong["emotion_accuracy"] == pytest.approx(20 / 24)
    assert "4 faces without a prediction count as wrong" in wrong["caveats"]
    left = scored(table(records[4:]), missing="skip")
    assert left["n"] == 20 and left["emotion_accuracy"] == 1
    assert any("left out: this is not the whole test" in caveat for caveat in left["caveats"])
    assert left["predictions"] == {"file": "theirs.csv", "match": "id", "rows": 20, "matched": 20, "missing": 4,
                                   "unknown": 0, "repeated": 0, "not of the test": 0}  # fmt: skip


def test_unknown_faces_are_refused_or_left_out_aloud(scored, records):
    more = [*table(records), "face-999,fear,none"]
    with pytest.raises(ConfigError, match="1 predictions are about faces that the records do not have, e.g. face-999"):
        scored(more)
    summary = scored(more, unknown="skip")
    assert summary["predictions"]["unknown"] == 1 and summary["emotion_accuracy"] == 1
    assert any("1 predictions about faces that the records do not have" in caveat for caveat in summary["caveats"])


def test_the_same_answer_twice_counts_once_and_two_answers_are_refused(scored, records):
    summary = scored([*table(records), f"{records[0].id},{records[0].emotion},{listed(records[0])}"])
    assert summary["n"] == 24 and summary["predictions"]["repeated"] == 1
    with pytest.raises(ConfigError, match="1 faces have several predictions that differ, e.g. face-000"):
        scored([*table(records), "face-000,pain,none"])


def test_repeated_texts_are_compared_by_their_text_alone(scored, records):
    twice = json.dumps({**json.loads(texts(records)[0]), "answer_id": "another"})
    assert scored([*texts(records), twice], "a.jsonl", reader="strict")["predictions"]["repeated"] == 1


def test_faces_of_another_split_are_known_and_not_scored(made, scored, records, tmp_path):
    folder = tmp_path / "split"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    writer.add(*(replace(record, split="train") for record in records[:6]), *records[6:])
    writer.flush()
    write_meta(folder, None)
    summary = scored(table(records), records=str(folder))
    assert summary["n"] == 18 and summary["predictions"]["not of the test"] == 6
    assert any("6 predictions are left out: the protocol does not test" in caveat for caveat in summary["caveats"])


def test_no_name_in_common_says_what_would_match(scored, records):
    paths = ["image,emotion,aus", *(f"/data/faces/{r.media},{r.emotion},{listed(r)}" for r in records)]
    with pytest.raises(ConfigError, match="none of 24 predictions names a face.*match=path would find 24"):
        scored(paths)
    assert scored(paths, match="path")["emotion_accuracy"] == 1
    with pytest.raises(ConfigError, match="set columns.id"):
        scored(["id,emotion", "x,fear", "y,fear"])


def test_a_bare_file_name_that_two_pictures_have_is_refused(made, scored, records, tmp_path):
    folder = tmp_path / "twice"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    writer.add(*(replace(record, media=f"{i}/face.png") for i, record in enumerate(records)))
    writer.flush()
    write_meta(folder, None)
    with pytest.raises(ConfigError, match="'face.png' names 24 faces; write more of its path"):
        scored(["id,emotion", "face.png,fear"], records=str(folder), match="path")
    rows = ["id,emotion", *(f"else\\where\\{i}\\face.png,{record.emotion}" for i, record in enumerate(records))]
    assert scored(rows, records=str(folder), match="path")["emotion_accuracy"] == 1


def test_rows_are_matched_by_number_only_if_asked(scored, records):
    bare = ["emotion,aus", *(f"{r.emotion},{listed(r)}" for r in records)]
    with pytest.raises(ConfigError, match="no column for id: the file has 'emotion', 'aus'"):
        scored(bare)
    summary = scored(bare, match="row")
    assert summary["emotion_accuracy"] == 1
    assert "24 of 24 faces have a prediction, matched by the order of rows" in summary["caveats"]
    with pytest.raises(ConfigError, match="23 rows, the test 24 faces"):
        scored(bare[:-1], match="row")


def test_lost_zeros_of_a_spreadsheet_are_recognised(made, scored, records, tmp_path):
    folder = tmp_path / "numbered"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    writer.add(*(replace(record, id=f"{i:04}") for i, record in enumerate(records)))
    writer.flush()
    write_meta(folder, None)
    with pytest.raises(ConfigError, match="leading zeros are lost"):
        scored(["id,emotion", *(f"{i},fear" for i in range(1, 24))], records=str(folder))


def test_empty_ids_are_refused(scored, records):
    with pytest.raises(ConfigError, match="column 'id' is empty in 1 of 25 rows"):
        scored([*table(records), ",fear,none"])


# -- labels and texts


def test_labels_outside_the_set_are_counted_and_wrong(scored, records):
    odd = [f"{r.id},{'joyous' if i < 5 else r.emotion},{listed(r)}" for i, r in enumerate(records)]
    summary = scored(["id,emotion,aus", *odd])
    assert summary["emotion_accuracy"] == pytest.approx(19 / 24)
    assert "5 of 24: 'joyous' is not an emotion on offer" in summary["caveats"]


def test_numbers_as_labels_need_the_name_of_their_set(scored, records):
    numbered = ["id,emotion", *(f"{r.id},3" for r in records)]
    with pytest.raises(ConfigError, match=r"labels are numbers \(3\).*set label_ids"):
        scored(numbered)
    assert scored(numbered, label_ids="basic8")["confusion"]["counts"][0][3] == 3  # neutral, said to be surprise
    with pytest.raises(ConfigError, match="label_ids=nothing: no label set"):
        scored(numbered, label_ids="nothing")


def test_an_unparseable_file_says_so(scored, records):
    lines = [json.dumps({"id": r.id, "text": "I cannot help with that."}) for r in records]
    summary = scored(lines, "a.jsonl", reader="strict")
    assert summary["emotion_accuracy"] == 0 and summary["parse_failure_rate"] == 1
    assert any("no answer could be read" in caveat for caveat in summary["caveats"])


@pytest.mark.parametrize(("name", "text"), [("a.csv", ""), ("a.csv", "id,emotion\n"), ("a.jsonl", "")])
def test_an_empty_file_is_an_error(scored, name, text):
    with pytest.raises(ConfigError, match="holds no prediction"):
        scored(text, name)


def test_wrong_columns_say_what_was_found(scored, records):
    with pytest.raises(ConfigError, match="no column for text: the file has 'id', 'emotion', 'aus'.*columns={text"):
        scored(table(records), reader="strict")
    with pytest.raises(ConfigError, match="answer of task label.*columns 'id', 'mood' hold none of it"):
        scored(["id,mood", *(f"{r.id},sad" for r in records)], mode="label")
    with pytest.raises(ConfigError, match="no column 'mod'; the file has 'id', 'mood'"):
        scored(["id,mood", "face-000,sad"], columns={"answer": "mod"})
    with pytest.raises(ConfigError, match="columns: mood is nothing a column can be"):
        scored(["id,mood", "face-000,sad"], columns={"mood": "mood"})
    named = scored(["id,mood", *(f"{r.id},{r.emotion}" for r in records)], columns={"answer": "mood"})
    assert named["emotion_accuracy"] == 1


def test_a_table_without_aus_is_scored_on_emotion_alone(scored, records):
    summary = scored(["id,emotion", *(f"{r.id},{r.emotion}" for r in records)])
    assert summary["emotion_accuracy"] == 1 and summary["au_macro_f1"] is None
    assert "aus is not scored: nothing in the file answers it" in summary["caveats"]


def test_a_torn_last_line_makes_its_face_missing(scored, records):
    torn = "\n".join(texts(records))[:-5]
    with pytest.raises(ConfigError, match="1 of 24 faces have no prediction, e.g. face-023"):
        scored(torn, "a.jsonl", reader="strict")
    summary = scored(torn, "a.jsonl", reader="strict", missing="wrong")
    assert any("last line (24) was cut off" in caveat for caveat in summary["caveats"])


@pytest.mark.parametrize(
    "cell", ["6 12", "AU06+AU12", "['AU6', 'AU12']", "6，12", "AU 6、AU 12", "AU6:B|AU12:C", "6;12"]
)
def test_lists_of_aus_are_read_as_people_write_them(scored, records, tmp_path, cell):
    scored(["id\taus", *(f"{r.id}\t{cell}" for r in records)], "a.tsv")
    rows = read_predictions(tmp_path / "out" / "predictions.jsonl")
    assert len(rows) == 24 and all(set(row.aus or {}) == {6, 12} for row in rows)


def test_one_column_an_au_may_hold_presence_or_intensity(scored, records):
    aus = sorted({n for r in records for n in r.aus})
    head = ",".join(["id", *(f"AU{n:02}_c" for n in aus)])
    shown = [",".join([r.id, *(str(int(n in r.present_aus)) for n in aus)]) for r in records]
    assert scored([head, *shown])["au_macro_f1"] == pytest.approx(1)
    levels = [",".join([r.id, *(f"{r.aus.get(n, 0):.1f}" for n in aus)]) for r in records]
    unread = scored([head, *levels])  # 3.0 is neither 0 nor 1
    assert unread["au_macro_f1"] < 1 and unread["parse_failure_rate"] > 0.5
    assert scored([head, *levels], intensities=True)["au_macro_f1"] == pytest.approx(1)
    graded = scored([head, *levels], intensities=True, protocol="synthetic-intensity")
    assert graded["intensity_mae"] == pytest.approx(0)


@pytest.mark.parametrize("comma", [".", ","])
def test_valence_and_arousal_with_points_and_commas(made, scored, records, tmp_path, comma):
    folder = tmp_path / "affect"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    known = [replace(record, valence=i / 30, arousal=-i / 40) for i, record in enumerate(records)]
    writer.add(*known)
    writer.flush()
    write_meta(folder, None)
    lines = [f"{r.id};{r.valence:.4f};{r.arousal:.4f}".replace(".", comma) for r in known]
    summary = scored(["id;Valence;Arousal", *lines], benchmark="table", protocol="affect", records=str(folder))
    assert summary["affect_ccc"] == pytest.approx(1) and summary["valence_rmse"] == pytest.approx(0)


def test_probabilities_give_calibration(scored, records):
    labels = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    head = ",".join(["id", "emotion", *(f"p_{label}" for label in labels)])
    rows = [",".join([r.id, str(r.emotion), *("0.93" if label == r.emotion else "0.01" for label in labels)])
            for r in records]  # fmt: skip
    assert scored([head, *rows], mode="label")["ece"] == pytest.approx(0.07)
    with pytest.raises(ConfigError, match="none for contempt"):
        scored([head.replace("p_contempt", "p_other"), *rows], mode="label")
    with pytest.raises(ConfigError, match="sum to 1"):
        scored([head, *(row.replace("0.93", "0.5") for row in rows)], mode="label")


# -- readers and their files


def test_lmms_eval_samples_are_matched_by_row_and_read_as_one_likes(scored, records):
    samples = [{"doc_id": i, "resps": [[f"<think>x</think><answer>{r.emotion}</answer>"]], "filtered_resps": ["x"]}
               for i, r in enumerate(records)]  # fmt: skip
    lines = [json.dumps(sample) for sample in reversed(samples)]
    keys = {"match": "row", "mode": "explain"}
    summary = scored(lines, "s.jsonl", reader="lmms-eval+facial-r1", **keys)
    assert summary["emotion_accuracy"] == 1 and summary["reader"] == "lmms-eval+facial-r1"
    assert any("as Facial-R1 does" in caveat for caveat in summary["caveats"])
    with pytest.raises(ConfigError, match="one reply a row is wanted"):
        scored([json.dumps({"doc_id": 0, "resps": [["a", "b"]]})], "s.jsonl", reader="lmms-eval", **keys)


def test_llava_answers_and_rows_that_failed(scored, records):
    lines = [json.dumps({"question_id": r.media, "text": gold(r, ("au", "answer"))}) for r in records]
    assert scored(lines, "a.jsonl", reader="llava", match="path")["au_macro_f1"] == pytest.approx(1)
    failed = [json.dumps({"image_path": r.id, "model_response": "ERROR: fear", "error": i == 0, "true_label": "x"})
              for i, r in enumerate(records)]  # fmt: skip
    with pytest.raises(ConfigError, match="1 of 24 faces have no prediction, e.g. face-000"):
        scored(failed, "b.jsonl", reader="unifer", mode="label")


def test_a_reader_scores_only_what_it_reads(scored, records):
    lines = [json.dumps({"id": r.id, "text": "<answer>happy</answer>"}) for r in records]
    summary = scored(lines, "a.jsonl", reader="r1-omni")
    assert summary["emotion_accuracy"] == pytest.approx(1 / 8) and summary["au_macro_f1"] is None
    with pytest.raises(ConfigError, match="reader=r1-omni reads answer of kind label; protocol synthetic-intensity"):
        scored(lines, "a.jsonl", reader="r1-omni", protocol="synthetic-intensity")


# -- the truth of the file itself


def test_gold_columns_serve_for_a_quick_look_and_say_so(scored):
    rows = ["id,label,gold,subject", *(f"{i},{'happy' if i % 2 else 'sad'},{'joy' if i < 8 else 'sad'},p{i % 3}"
                                       for i in range(12))]  # fmt: skip
    summary = scored(rows, records=None, benchmark="rafdb")
    assert summary["emotion_accuracy"] == pytest.approx(6 / 12) and summary["n_subjects"] == 3
    assert summary["caveats"][0].startswith("the truth is that of the predictions' own file")


def test_gold_aus_as_lists_and_as_columns(scored):
    rows = ["id\taus\tgt_aus", "1\t6 12\t6 12", "2\t12\t6", "3\tnone\tnone"]
    summary = scored(rows, "a.tsv", records=None, benchmark="disfa")
    assert summary["au_micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    with pytest.raises(ConfigError, match="set au_protocol"):
        scored(rows, "a.tsv", records=None, benchmark="table", protocol="labels")
    columns = scored(["id,AU6,AU12,gold_AU6,gold_AU12", "1,1,0,1,1", "2,0,0,,1"], records=None, benchmark="disfa")
    assert [(one["au"], one["labelled"]) for one in columns["per_au"] if one["labelled"]] == [(6, 1), (12, 2)]


@pytest.mark.parametrize(
    ("rows", "keys", "words"),
    [
        (["id,label", "1,sad"], {}, "no records are given, and the file has no column of truth"),
        (["id,label,gold", "1,sad,glum"], {}, "row 1 .1.: 'glum' is not a label of rafdb"),
        (["id,label,gold", "1,sad,sad", "1,sad,fear"], {}, "1 stands in the file with two truths"),
        (["id,label,gold", "1,sad,sad"], {"benchmark": "table"}, "label_set=None: say of which set"),
        (["id,au,gold_aus", "1,6,smile"], {"benchmark": "disfa"}, "'smile' is no list of AUs"),
    ],
)
def test_faulty_truth_in_the_file_is_named(scored, rows, keys, words):
    with pytest.raises(ConfigError, match=words):
        scored(rows, records=None, **{"benchmark": "rafdb", **keys})


# -- the command


def test_the_command_prints_the_number_and_what_must_be_known(made, records, tmp_path, capsys):
    path = tmp_path / "theirs.csv"
    path.write_text("\n".join(table(records)))
    main([str(path), "--benchmark", "synthetic", "--records", str(made[0]), "--reader", "labels", "--out",
          str(tmp_path / "out"), "bootstrap=10", "columns.answer=emotion"])  # fmt: skip
    said = capsys.readouterr().out
    assert "theirs" in said and "note: 24 of 24 faces have a prediction, matched by id" in said
    with pytest.raises(SystemExit, match="error: there is no file"):
        main([str(path) + "x", "benchmark=synthetic", f"records={made[0]}", f"out={tmp_path / 'o'}"])


def test_one_file_at_a_time(capsys):
    with pytest.raises(SystemExit):
        main(["a.csv", "b.csv", "benchmark=synthetic", "out=x"])
    assert "one is scored at a time" in capsys.readouterr().err


def test_the_worked_example_of_the_page_is_what_the_command_prints(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "eval" / "others.md").read_text()
    blocks = page.partition("### A worked example")[2].split("```")
    command, _, printed = blocks[3].strip().partition("\n")
    monkeypatch.chdir(tmp_path)
    Path("theirs.csv").write_text(blocks[1].lstrip("\n"))
    main(shlex.split(command)[4:])
    assert capsys.readouterr().out.strip() == printed.strip()
