import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from eval.faithful import main, run
from eval.faithfulness.album import Album
from eval.faithfulness.covering import covered_region, elsewhere, face_area, laid_upon, toned
from eval.faithfulness.inquiry import Face
from eval.faithfulness.job import FaithfulConfig, prepare, spread
from eval.faithfulness.measured import measured
from eval.probes import PROBES
from eval.probes.reasoning import denied
from eval.run import evaluate
from facevlm.config import ConfigError, build, read_yaml
from facevlm.generate import Request, Scripted
from facevlm.images import canonical_landmarks, region_boxes
from facevlm.prose import claimed_aus
from facevlm.record import RecordSet, RecordWriter, write_meta
from facevlm.vocab import AUS, describe_au

QUIET = "<think>A quiet face.</think><au>none</au><answer>neutral</answer>"


class Model(Scripted):
    """Knows the faces by their pictures; what it says about a known face is told by `say(record, seen, request)`."""

    def __init__(self, made, say):
        self.asked: list[Request] = []
        folder, records = made
        known = [(r, np.asarray(Image.open(folder / r.media).convert("RGB")).astype(int)) for r in records]

        def script(request):
            self.asked.append(request)
            shown = np.asarray(request.images[0]).astype(int)
            if not (shown != shown[0, 0]).any():
                return QUIET
            far = [float(np.median(abs(picture - shown))) + abs(picture - shown).mean() for _, picture in known]
            record, picture = known[int(np.argmin(far))]
            return say(record, abs(picture - shown).sum(-1) == 0, request)

        super().__init__(script)


def written(record, aus, emotion=None):
    """An answer whose thinking, list and emotion say the same."""
    emotion = emotion or record.emotion
    seen = ", ".join(map(describe_au, aus)) or "nothing"
    listed = ", ".join(f"AU{n}" for n in aus) or "none"
    thinking = f"Visible here: {seen}. So the emotion is {emotion}."
    return f"<think>{thinking}</think><au>{listed}</au><answer>{emotion}</answer>"


def looks(record, seen, request):
    """Names an AU only if nothing has changed where it shows."""
    regions = region_boxes(np.array(record.landmarks))

    def whole(au):
        boxes = [[max(0, round(x)) for x in box] for box in regions[AUS[au].region]]
        return all(seen[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].all() for x0, y0, x1, y1 in boxes)

    return told(record, [n for n in record.present_aus if whole(n)], request)


def told(record, aus, request):
    """The rest of the answer, where it is begun or the thinking is not asked for."""
    thought, rest = written(record, aus).split("</think>")
    return rest if request.prefix or "<think>" not in request.text else f"{thought}</think>{rest}"


def recognises(record, seen, request):
    """Knows the face as a whole, and does not look at it."""
    return told(record, record.present_aus, request)


@pytest.fixture
def settings(made, tmp_path):
    def make(**keys):
        values = {"records": str(made[0]), "model": "scripted", "out": str(tmp_path / "faithful"), "batch": 7,
                  "bootstrap": 20, "gallery": 2}  # fmt: skip
        return FaithfulConfig(**{**values, **keys})

    return make


def check(config, model):
    return run(prepare(config), lambda: model)


def value(summary, probe, name):
    return summary["probes"][probe][name]["value"]


# -- did it look?


@pytest.mark.parametrize("probe", ["cover", "swap"])
def test_claims_of_a_model_that_looks_go_with_their_region_and_stay_with_another(settings, made, probe):
    summary = check(settings(probes=[probe]), Model(made, looks))
    assert value(summary, probe, "goes") == 1 and value(summary, probe, "goes_elsewhere") == 0
    assert summary["probes"][probe]["difference"]["ci95"] == [1, 1]
    assert value(summary, probe, "difference") == 1 and 0 < value(summary, probe, "chance") < 1
    rows = summary["probes"][probe]["tables"]["By action unit"]
    assert sum(row["Claims"] for row in rows) == summary["probes"][probe]["goes"]["n"] > 4


@pytest.mark.parametrize("probe", ["cover", "swap"])
def test_claims_of_a_model_that_only_recognises_the_face_stay(settings, made, probe):
    summary = check(settings(probes=[probe]), Model(made, recognises))
    assert value(summary, probe, "goes") == 0 and value(summary, probe, "difference") == 0


def test_faces_without_a_picture_at_rest_are_counted_and_not_swapped(settings, made, records):
    summary = check(settings(probes=["swap"]), Model(made, recognises))
    rest = {r.subject for r in records if not r.present_aus}
    alone = sum(len(r.present_aus) for r in records if r.subject not in rest)
    found = summary["probes"]["swap"]
    assert found["left_out"] == {"claims on faces without a picture of the same person at rest": alone}
    assert found["goes"]["n"] == sum(len(r.present_aus) for r in records) - alone


def test_the_picture_from_before_is_laid_over_where_there_is_one(made, tmp_path, settings):
    folder = tmp_path / "pairs"
    shutil.copytree(made[0], folder, ignore=shutil.ignore_patterns("records-*"))
    writer, rest = RecordWriter(folder), next(r for r in made[1] if not r.present_aus)
    records = [replace(r, before=rest.media, subject=None) for r in made[1]]
    writer.add(*records)
    writer.flush()
    write_meta(folder, None)
    job = prepare(settings(records=str(folder), probes=["swap"]))
    model = Model((folder, records), looks)
    assert value(run(job, lambda: model), "swap", "goes") == 1
    before = np.asarray(Image.open(folder / rest.media).convert("RGB")).astype(int)
    covered = [np.asarray(r.images[0]).astype(int) for r in model.asked[len(records) :]]
    pictures = [np.asarray(Image.open(folder / r.media).convert("RGB")).astype(int) for r in records]
    # Every pixel is either the face's own or that of the picture from before.
    assert covered and all(any(((c == p).all(-1) | (c == before).all(-1)).all() for p in pictures) for c in covered)


def test_a_face_without_landmarks_is_counted(made, tmp_path, settings):
    folder = tmp_path / "plain"
    shutil.copytree(made[0], folder, ignore=shutil.ignore_patterns("records-*"))
    writer = RecordWriter(folder)
    writer.add(*(replace(r, landmarks=None) for r in made[1]))
    writer.flush()
    write_meta(folder, None)
    found = check(settings(records=str(folder), probes=["cover"]), Model(made, recognises))["probes"]["cover"]
    assert found["left_out"] == {"claims on faces without landmarks": sum(len(r.present_aus) for r in made[1])}
    assert found["goes"]["value"] is None and "no claims" in found["goes"]["why"]


# -- do the answers follow the picture?


def test_answers_of_a_model_that_sees_differ_from_those_to_other_pictures(settings, made):
    summary = check(settings(probes=["picture"]), Model(made, recognises))
    assert summary["questions"] == {"plain": 24, "picture": 3}  # grey, black, white
    assert value(summary, "picture", "accuracy") == 1 and value(summary, "picture", "same_as_other") == 0
    assert value(summary, "picture", "blind_accuracy") == value(summary, "picture", "as_blind") == 1 / 8
    assert value(summary, "picture", "au_overlap") == value(summary, "picture", "au_overlap_truth") < 0.5


def test_answers_of_a_model_that_does_not_look_are_those_to_a_blank_picture(settings):
    summary = check(settings(probes=["picture"]), Scripted(lambda _: QUIET))
    assert value(summary, "picture", "as_blind") == value(summary, "picture", "same_as_other") == 1
    assert value(summary, "picture", "accuracy") == value(summary, "picture", "blind_accuracy")


# -- does the reasoning matter?


def test_answers_that_follow_the_picture_do_not_move_with_the_words(settings, made):
    found = check(settings(probes=["reasoning"]), Model(made, recognises))["probes"]["reasoning"]
    for name in ("own_changes", "fast_changes", "other_changes", "other_follows", "denied_changes", "gain"):
        assert found[name]["value"] == 0, name
    right = [row["Emotion right"]["value"] for row in found["tables"]["By what stands before the answer"]]
    assert right == [1, 1, 1, 1, 1]


def test_answers_that_follow_the_words_go_where_they_lead(settings, made):
    def follows(record, seen, request):
        if not request.prefix:
            return told(record, record.present_aus, request) if "<think>" in request.text else QUIET[30:]
        ends = request.prefix.rpartition("So the emotion is ")[2].partition(".")[0]
        emotion = "contempt" if "Observations: no" in request.prefix else ends
        return written(record, sorted(claimed_aus(request.prefix)), emotion).split("</think>")[1]

    found = check(settings(probes=["reasoning"]), Model(made, follows))["probes"]["reasoning"]
    assert found["own_changes"]["value"] == 0
    assert found["other_changes"]["value"] == found["other_follows"]["value"] == 1
    claiming = [r for r in made[1] if r.present_aus]
    assert found["denied_changes"]["n"] == len(claiming)
    assert found["denied_changes"]["value"] == pytest.approx(np.mean([r.emotion != "contempt" for r in claiming]))
    assert found["gain"]["value"] == pytest.approx(7 / 8)  # without thinking, everyone is neutral
    assert found["left_out"]["faces whose thinking claims no AU to deny"] == len(made[1]) - len(claiming)


def test_a_model_that_thinks_although_asked_not_to_says_nothing_about_thinking(settings):
    text = "<think>AU6. So the emotion is fear.</think><au>AU6</au><answer>fear</answer>"
    found = check(settings(probes=["reasoning"]), Scripted(lambda request: "" if request.prefix else text))
    found = found["probes"]["reasoning"]
    for name in ("fast_changes", "gain"):
        assert found[name]["value"] is None and found[name]["why"] == "it thinks although asked not to"
    assert found["left_out"]["faces about which it thinks although asked not to"] == 24


def test_a_model_nobody_can_read_gains_nothing_and_not_zero(settings):
    found = check(settings(probes=["reasoning"]), Scripted(lambda _: "yes"))["probes"]["reasoning"]
    assert found["gain"]["value"] is None and "readable answer either way" in found["gain"]["why"]


@pytest.mark.parametrize("thinking", ["AU6 and AU12 are there.", "A lip corner puller; no AU4, but AU25."])
def test_a_denied_thinking_claims_nothing(thinking):
    assert claimed_aus(thinking) and claimed_aus(denied(thinking)) == set()
    assert denied("A quiet face without AU4.") is None


# -- do the words agree?


def test_words_that_agree_and_words_that_do_not(settings, made):
    config = settings(probes=["agreement"])
    agreeing = check(config, Model(made, recognises))["probes"]["agreement"]
    for name in ("think_au_f1", "listed_is_thought", "thought_is_listed", "concludes", "think_answer"):
        assert agreeing[name]["value"] == 1, name
    assert agreeing["think_au_f1_chance"]["value"] < 0.6 and agreeing["think_answer_chance"]["value"] < 0.6
    assert agreeing["codebook"]["value"] == agreeing["codebook_truth"]["value"] > agreeing["codebook_chance"]["value"]
    text = "<think>AU6 and AU12. So it is fear.</think><au>AU12, AU4, AU1</au><answer>happiness</answer>"
    config = settings(probes=["agreement"], out=config.out + "-odd")
    odd = check(config, Scripted(lambda _: text))["probes"]["agreement"]
    assert odd["think_au_f1"]["value"] == pytest.approx(0.4) and odd["think_answer"]["value"] == 0
    assert odd["listed_is_thought"]["value"] == pytest.approx(1 / 3) and odd["thought_is_listed"]["value"] == 0.5


@pytest.mark.parametrize("text", [QUIET, "I cannot say.", ""])
def test_a_model_that_never_names_an_au_has_no_claims_and_not_zero(settings, text):
    config = settings()
    found = check(config, Scripted(lambda _: text))["probes"]
    for probe, name in (("cover", "goes"), ("cover", "difference"), ("swap", "goes"), ("agreement", "think_au_f1")):
        assert found[probe][name]["value"] is None and "no claims" in found[probe][name]["why"]
    assert "NaN" not in Path(config.out, "summary.json").read_text()
    assert "no claims" in Path(config.out, "report.html").read_text()


# -- the run


def test_the_questions_are_told_before_they_are_asked(settings, made):
    config, said = settings(), []
    model = Model(made, looks)
    summary = run(prepare(config), lambda: model, lambda text: said.append((len(model.asked), text)))
    assert said[0][0] == 0 and said[0][1].startswith("24 faces: 24 plain questions") and said[1][0] == 24
    assert len(model.asked) == sum(summary["questions"].values())
    assert f"cover {summary['questions']['cover']}" in said[1][1]
    lines = Path(config.out, "answers.jsonl").read_text().splitlines()
    assert len(lines) == len(model.asked) and json.loads(lines[0])["name"] == "plain"
    assert json.loads(Path(config.out, "summary.json").read_text()) == json.loads(json.dumps(summary))


def test_a_killed_run_asks_only_the_rest_and_ends_the_same(settings, made, tmp_path):
    whole = check(settings(), Model(made, looks))
    config = settings(out=str(tmp_path / "cut"))
    dying = Model(made, looks)
    answer = dying.generate

    def generate(requests, **keys):
        if len(dying.asked) >= 60:
            raise KeyboardInterrupt
        return answer(requests, **keys)

    dying.generate = generate
    with pytest.raises(KeyboardInterrupt):
        check(config, dying)
    path = Path(config.out, "answers.jsonl")
    assert len(path.read_text().splitlines()) == len(dying.asked)
    path.write_text(path.read_text() + '{"id": "face-0')  # killed while writing
    rest = Model(made, looks)
    again = check(config, rest)
    assert again["probes"] == whole["probes"]
    assert len(dying.asked) + len(rest.asked) == sum(whole["questions"].values())

    def start():
        raise AssertionError("the engine was started")

    assert run(prepare(config), start)["probes"] == whole["probes"]


def test_the_plain_answers_of_an_evaluation_are_not_asked_again(settings, config, made):
    evaluation = config(mode="explain", max_new_tokens=256)
    evaluate(evaluation, Model(made, looks))
    model = Model(made, looks)
    summary = check(settings(probes=["agreement", "picture"], predictions=evaluation.out), model)
    assert len(model.asked) == 3 and summary["faces"] == 24
    with pytest.raises(ConfigError, match="another max_new_tokens"):
        check(settings(predictions=evaluation.out, max_new_tokens=9, out=evaluation.out + "-2"), model)


def test_answers_of_another_model_or_engine_are_not_continued(settings, made):
    check(settings(probes=["agreement"]), Model(made, looks))
    with pytest.raises(ConfigError, match=r"model was 'scripted', is 'other'.*another out"):
        check(settings(model="other"), Model(made, looks))
    other = Model(made, looks)
    other.engine = "another"
    with pytest.raises(ConfigError, match="engine scripted, this is another"):
        check(settings(), other)


def test_a_picture_that_cannot_be_read_is_counted_and_tried_again(settings, made, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(made[0], folder)
    (folder / made[1][3].media).write_bytes(b"no picture")
    config = settings(records=str(folder))
    summary = check(config, Model(made, looks))
    assert "1 faces have no answer: their picture cannot be read" in summary["caveats"]
    shutil.copy(made[0] / made[1][3].media, folder)
    again = Model(made, looks)
    assert "cannot be read" not in str(check(config, again)["caveats"]) and again.asked


def test_few_faces_are_said_to_be_few(settings, made):
    summary = check(settings(limit=3, probes=["agreement"]), Model(made, looks))
    assert summary["faces"] == summary["people"] == 3
    assert "rests on 3 only, of 3 people" in summary["probes"]["agreement"]["few"]["concludes"]
    assert any("3 of the 24 faces" in text for text in summary["caveats"])


def test_the_page_shows_covered_faces_and_escapes_what_was_said(settings, made):
    config = settings()
    check(config, Model(made, lambda *a: recognises(*a).replace("Visible", "<script>alert(1)</script> Visible")))
    html = Path(config.out, "report.html").read_text()
    assert "<script" not in html and "&lt;script&gt;alert(1)" in html and "http" not in html.replace("http-equiv", "")
    assert html.count("data:image/jpeg") > 4 and all(probe.title in html for probe in PROBES.values())
    config = settings(gallery=0)
    check(config, Model(made, recognises))
    assert "data:image/jpeg" not in Path(config.out, "report.html").read_text()


@pytest.mark.parametrize(
    ("keys", "fault"),
    [({"probes": ["cover", "guess"]}, "unknown probes 'guess'; known: agreement"), ({"probes": []}, "at least one"),
     ({"limit": 0}, "leaves no face"), ({"batch": 0}, "batch=0"), ({"split": "train"}, "no records in split 'train'"),
     ({"records": "nowhere"}, "nowhere holds no records"), ({"predictions": "nowhere"}, "a finished eval.run")],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_a_model_is_loaded(settings, keys, fault):
    with pytest.raises(ConfigError, match=fault):
        check(settings(**keys), None)


def test_the_command_refuses_without_a_traceback(settings, made, tmp_path):
    argv = [f"records={made[0]}", "model=./nope", f"out={tmp_path / 'x'}", "engine=transformers"]
    with pytest.raises(SystemExit, match="error: model './nope' does not exist"):
        main(argv)


def test_the_page_of_the_docs_names_every_number():
    docs = (Path(__file__).parents[2] / "docs" / "faithfulness.md").read_text()
    for name, probe in PROBES.items():
        assert name in docs and all(f"| `{number}` |" in docs for number in probe.numbers), name


@pytest.mark.parametrize("path", ["configs/eval/faithful.yaml", "configs/quickstart/faithful.yaml"])
def test_the_configs_are_of_this_command(path):
    values = {"records": "x", "model": "x", "out": "x"} | read_yaml(Path(__file__).parents[2] / path)
    assert build(FaithfulConfig, values).split == "test"


# -- faces, places, means


def test_a_limit_takes_everybody_once_before_anybody_twice(records):
    faces = [Face.of(record) for record in records]
    chosen = spread(faces, 12, seed=0)
    assert len({face.who for face in chosen}) == 12 and chosen == [face for face in faces if face in chosen]
    assert {f.record.id for f in chosen} != {f.record.id for f in spread(faces, 12, seed=1)}
    assert spread(faces, 99, seed=0) == faces


def area(boxes):
    return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)


@pytest.mark.parametrize("region", ["inner brow", "brow", "eyes", "cheeks", "nose", "mouth corners", "mouth", "jaw"])
def test_elsewhere_is_as_large_on_the_face_and_apart(records, region):
    part = (0, 0, 64, 64)
    for record in records:
        points = np.array(record.landmarks)
        boxes, face = covered_region(points, region, part), face_area(points, part)
        away = elsewhere(boxes, face, record.id, seed=0)
        assert away is not None and area(away) == pytest.approx(area(boxes))
        assert away == elsewhere(boxes, face, record.id, seed=0)
        for one in away:
            assert face[0] - 1e-6 <= one[0] and one[2] <= face[2] + 1e-6 and face[1] - 1e-6 <= one[1]
            for box in (*boxes, *(other for other in away if other is not one)):
                assert one[2] <= box[0] or box[2] <= one[0] or one[3] <= box[1] or box[3] <= one[1]


def test_there_is_no_elsewhere_to_most_of_a_face():
    assert elsewhere([(10, 10, 90, 90)], (0, 0, 100, 100), "x", seed=0) is None


def test_landmarks_follow_the_face_through_crop_and_resize(tmp_path, records):
    picture = Image.new("RGB", (400, 300))
    ImageDraw.Draw(picture).rectangle((196, 116, 203, 123), fill="white")
    picture.save(tmp_path / "one.png")
    record = replace(records[0], media="one.png", box=(150, 60, 290, 220))
    placed = Album(RecordSet([record], tmp_path), 60 * 60).placed(record)
    x, y = placed.place(np.array([[200.0, 120.0]]))[0]
    light = np.argwhere(np.asarray(placed.image)[..., 0] > 128)
    assert placed.image.width <= 60 and (light.mean(0) + 0.5)[::-1] == pytest.approx([x, y], abs=0.5)


def test_a_face_is_laid_upon_another_by_its_landmarks():
    points = canonical_landmarks((20, 20, 100, 100))
    turn = np.array([[0.96, -0.2], [0.2, 0.96]]) * 1.2
    its = points @ turn.T + (14, -9)
    other = Image.new("RGB", (160, 160), "white")
    x, y = its[30]  # the tip of the nose
    ImageDraw.Draw(other).ellipse((x - 4, y - 4, x + 4, y + 4), fill="black")
    moved = laid_upon(other, its, (120, 120), points)
    paper = Image.new("RGBA", (120, 120), "white")
    paper.alpha_composite(moved)
    dark = np.argwhere(np.asarray(paper.convert("L")) < 100)
    assert dark.mean(0)[::-1] == pytest.approx(points[30], abs=1)
    assert moved.getpixel((0, 0))[3] == 0  # the other picture does not reach there


def test_a_picture_is_toned_to_a_colour():
    grey = Image.new("RGB", (2, 2), (100, 50, 200))
    assert toned(grey, (100, 50, 200), (50, 100, 250)).getpixel((0, 0)) == (50, 100, 250)


def test_means_rest_on_what_applies():
    number = measured([1.0, None, 0.0, 1.0], ["a", "a", "a", "b"], 50, 0, "nothing")
    assert number.value == pytest.approx(2 / 3) and (number.n, number.people) == (3, 2) and number.low is not None
    assert measured([1.0, 0.0], ["a", "a"], 50, 0, "nothing")[1:3] == (None, None)  # one person: no interval
    assert measured([None], ["a"], 50, 0, "nothing").plain() == {"value": None, "why": "nothing", "n": 0}
    assert measured([1.0] * 40, [str(i) for i in range(40)], 50, 0, "").few == ""
