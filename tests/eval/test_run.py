import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eval.frame.job import prepare
from eval.frame.predictions import read_predictions
from eval.run import evaluate, main, predict, run
from facevlm.config import ConfigError
from facevlm.generate import Reply, Scripted
from facevlm.images import load_face
from facevlm.prompts import gold
from facevlm.record import RecordWriter, write_meta


def test_an_oracle_scores_full_marks(config, oracle):
    summary = evaluate(config(), oracle())
    assert summary["n"] == 24 and summary["n_subjects"] == 12
    for metric in ("emotion_accuracy", "emotion_uar", "emotion_macro_f1", "au_macro_f1", "au_micro_f1", "au_set_f1"):
        assert summary[metric] == pytest.approx(1), metric
        assert summary["ci95"][metric] == pytest.approx([1, 1]), metric
    assert summary["parse_failure_rate"] == 0 and summary["ci95_by"] == "subject"


def test_a_model_that_says_neutral_without_aus_scores_what_it_should(config, parrot):
    summary = evaluate(config(), parrot("<au>none</au><answer>neutral</answer>"))
    assert summary["emotion_accuracy"] == pytest.approx(1 / 8)
    assert summary["emotion_uar"] == pytest.approx(1 / 8)
    assert summary["au_macro_f1"] == 0 and summary["au_micro_f1"] == 0


def test_unreadable_answers_are_wrong_and_counted(config, parrot):
    summary = evaluate(config(), parrot("I see a neutral face, no AU4."))
    assert summary["parse_failure_rate"] == 1 and summary["emotion_accuracy"] == 0
    assert sum(row[-1] for row in summary["confusion"]["counts"]) == 24


def test_the_lenient_reader_reads_prose(config, parrot):
    summary = evaluate(config(reader="lenient"), parrot("I see a neutral face, no AU4."))
    assert summary["parse_failure_rate"] == 0 and summary["emotion_accuracy"] == pytest.approx(1 / 8)


def test_what_was_not_asked_is_null_not_zero(config, parrot):
    summary = evaluate(config(mode="label"), parrot("<answer>neutral</answer>"))
    assert summary["emotion_accuracy"] == pytest.approx(1 / 8)
    assert summary["au_macro_f1"] is None and summary["au_set_f1"] is None and "au_scored" not in summary
    assert "au_macro_f1" not in summary["ci95"] and "no AUs were asked for" in summary["undefined"]["au_macro_f1"]


def test_summary_file_says_what_the_numbers_rest_on(config, oracle):
    settings = config(mode="fast")
    summary = evaluate(settings, oracle())
    written = json.loads(Path(settings.out, "summary.json").read_text())
    assert written == json.loads(json.dumps(summary))
    assert written["engine"] == "scripted" and written["protocol"] == "synthetic"
    assert written["au_protocol"] == "synthetic-18" and written["mode"] == "fast"
    assert written["prompt"].endswith("Reply as <au>AU numbers</au><answer>emotion</answer>.")
    assert written["images_per_second"] > 0 and written["tokens_per_image"] > 0 and "python" in written["versions"]
    assert Path(settings.out, "config.yaml").is_file() and Path(settings.out, "report.html").is_file()


def test_predictions_are_one_line_a_face_in_the_order_of_the_records(config, oracle, records):
    settings = config()
    evaluate(settings, oracle())
    rows = read_predictions(Path(settings.out, "predictions.jsonl"))
    assert [row.id for row in rows] == [record.id for record in records]
    assert rows[0].gold_aus == records[0].present_aus and rows[0].labelled_aus == records[0].labelled_aus
    line = json.loads(Path(settings.out, "predictions.jsonl").read_text().splitlines()[1])
    assert line["aus"] and set(line["aus"][0]) == {"au", "intensity"}


def test_a_finished_run_is_scored_again_without_a_model(config, oracle):
    settings = config()
    first = evaluate(settings, oracle())

    def start():
        raise AssertionError("the engine was started")

    again = run(prepare(settings), start)
    assert again["au_macro_f1"] == first["au_macro_f1"] and again["seconds"] == first["seconds"]


def test_a_killed_run_asks_only_the_rest_and_ends_the_same(config, oracle, tmp_path):
    whole, cut = config(), config(out=str(tmp_path / "cut"))
    expected = evaluate(whole, oracle())
    evaluate(config(out=str(tmp_path / "cut"), limit=10), oracle())
    path = tmp_path / "cut" / "predictions.jsonl"
    path.write_text(path.read_text() + '{"id": "face-010", "source": "synth')  # killed while writing
    rest = oracle(10)
    summary = evaluate(cut, rest)
    assert len(rest.asked) == 14
    assert summary["n"] == 24 and summary["emotion_accuracy"] == expected["emotion_accuracy"]
    assert [r.text for r in read_predictions(path)] == [
        r.text for r in read_predictions(Path(whole.out, "predictions.jsonl"))
    ]


def test_each_batch_is_on_disk_before_the_next_is_asked(config, records):
    settings = config(batch=10)

    class Dies:
        engine = "scripted"
        calls = 0

        def generate(self, requests, **_):
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return [Reply("<au>none</au><answer>neutral</answer>", 1, 1) for _ in requests]

    with pytest.raises(KeyboardInterrupt):
        predict(prepare(settings), Dies)
    assert len(read_predictions(Path(settings.out, "predictions.jsonl"))) == 10


def test_runs_killed_again_and_again_ask_about_every_face_once(config, records):
    answered = []

    class Dies(Scripted):
        def generate(self, requests, **options):
            if len(answered) % 10 == 9:  # killed while this batch is under way: nothing of it was answered
                answered.append(None)
                raise KeyboardInterrupt
            answered.extend(request.images[0].tobytes() for request in requests)
            return super().generate(requests, **options)

    settings, starts = config(batch=3), 0
    while True:
        starts += 1
        try:
            summary = evaluate(settings, Dies(lambda _: "<au>none</au><answer>neutral</answer>"))
            break
        except KeyboardInterrupt:
            continue
    asked = [picture for picture in answered if picture is not None]
    assert starts > 2 and len(asked) == len(set(asked)) == summary["n"] == len(records)


@pytest.mark.parametrize(("key", "value"), [("mode", "label"), ("max_new_tokens", 99), ("reader", "lenient"),
                                            ("model", "another"), ("max_pixels", 1024)])  # fmt: skip
def test_a_run_made_in_another_way_is_not_continued(config, oracle, key, value):
    evaluate(config(), oracle())
    with pytest.raises(ConfigError, match=rf"{key} was .*another out"):
        evaluate(config(**{key: value}), oracle())


def test_retrained_weights_are_another_model(config, oracle, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"first")
    evaluate(config(model=str(model)), oracle())
    (model / "model.safetensors").write_bytes(b"second")
    with pytest.raises(ConfigError, match="weights was"):
        evaluate(config(model=str(model)), oracle())


def test_another_engine_does_not_continue_a_run(config, oracle):
    evaluate(config(limit=10), oracle())
    other = oracle(10)
    other.engine = "another"
    with pytest.raises(ConfigError, match="begun with engine scripted, this is another"):
        evaluate(config(), other)


def test_predictions_for_faces_outside_the_run_are_refused(config, oracle):
    evaluate(config(), oracle())
    with pytest.raises(ConfigError, match="14 faces that this run does not ask"):
        evaluate(config(limit=10), oracle())


def test_another_protocol_rescores_the_same_answers(config, oracle):
    settings = config()
    evaluate(settings, oracle())
    nothing_left = oracle(24)
    summary = evaluate(config(au_protocol="DISFA-8"), nothing_left)
    assert not nothing_left.asked and summary["au_protocol"] == "DISFA-8"
    assert [row["au"] for row in summary["per_au"]] == [1, 2, 4, 6, 9, 12, 25, 26]


def test_an_unreadable_picture_is_a_row_with_an_error(made, config, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(made[0], folder)
    (folder / "003.png").write_bytes(b"no picture")
    (folder / "004.png").unlink()
    settings = config(records=str(folder))
    summary = evaluate(settings, Scripted(lambda _: "<au>none</au><answer>neutral</answer>"))
    assert summary["unreadable_images"] == 2 and summary["n"] == 22
    errors = {row.id: row.error for row in read_predictions(Path(settings.out, "predictions.jsonl")) if row.error}
    assert errors["face-003"].startswith("not an image") and errors["face-004"].startswith("file missing")


def test_replies_stay_with_their_faces_when_one_in_between_cannot_be_read(made, config, records, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(made[0], folder)
    (folder / "003.png").unlink()
    answers = iter([gold(r, ("au", "answer")) for r in records if r.media != "003.png"])
    summary = evaluate(config(records=str(folder)), Scripted(lambda _: next(answers)))
    assert summary["emotion_accuracy"] == 1 and summary["n"] == 23


def test_all_frames_of_a_clip_are_shown_whole_and_in_order(made, config, records, tmp_path):
    folder = tmp_path / "clips"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    box = (8.0, 8.0, 40.0, 40.0)
    writer.add(replace(records[0], box=box, landmarks=None))
    frames = ("001.png", "005.png", "003.png")
    writer.add(replace(records[1], media="clip.mp4", box=box, landmarks=None, frames=frames))
    writer.flush()
    write_meta(folder, None)
    seen = []
    settings = config(records=str(folder))
    evaluate(settings, Scripted(lambda request: seen.append(request.images) or gold(records[0], ("au", "answer"))))
    assert [[picture.size for picture in pictures] for pictures in seen] == [[(48, 48)], [(64, 64)] * 3]
    whole = [load_face(folder / f"{name}.png").tobytes() for name in ("001", "005", "003")]
    assert [picture.tobytes() for picture in seen[1]] == whole
    assert Path(settings.out, "report.html").read_text().count("data:image/jpeg") == 2


def test_records_the_benchmark_does_not_score_are_counted(made, config, records, oracle, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    for record in records[:6]:
        writer.add(record)
    writer.add(replace(records[6], emotion="anger", label_set="rafdb"))
    writer.add(replace(records[7], emotion=None, aus={}))
    writer.flush()
    write_meta(folder, None)
    summary = evaluate(config(records=str(folder)), oracle())
    assert summary["n"] == 6 and summary["skipped"] == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"benchmark": "nothing"}, "known: synthetic, table"),
        ({"au_protocol": "nothing"}, "known: BP4D-12"),
        ({"protocol": "nothing"}, "no protocol 'nothing'; it has synthetic, synthetic-intensity"),
        ({"records": "nowhere"}, "data_builders.build"),
        ({"split": "train"}, "no records in split 'train'"),
    ],
)
def test_what_cannot_work_is_said_before_a_model_is_loaded(config, keys, words):
    with pytest.raises(ConfigError, match=words):
        prepare(config(**keys))


def test_the_command_ends_with_a_line_and_no_traceback(config, capsys):
    settings = config()
    argv = [f"records={settings.records}", "benchmark=nothing", "model=tiny", f"out={settings.out}"]
    with pytest.raises(SystemExit, match="error: unknown benchmark 'nothing'"):
        main(argv)


def test_without_resamples_there_are_no_intervals(config, oracle):
    summary = evaluate(config(bootstrap=0), oracle())
    assert summary["ci95"] == {} and summary["emotion_accuracy"] == 1


def test_a_run_in_which_no_picture_can_be_read_still_ends_in_a_page(made, config, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(made[0], folder)
    for picture in folder.glob("*.png"):
        picture.write_bytes(b"no picture")
    settings = config(records=str(folder))
    summary = evaluate(settings, Scripted(lambda _: ""))
    assert summary["n"] == 0 and summary["unreadable_images"] == 24 and summary["emotion_accuracy"] is None
    assert "nothing that can be scored" in Path(settings.out, "report.html").read_text()
