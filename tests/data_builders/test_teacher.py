import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_builders import teacher
from data_builders.teacher import BudgetSpent, Teacher, TeacherOptions, check, make
from data_builders.teacher_prompts import plan_of, prompt
from facevlm.answer import render
from facevlm.checkpoint import ModelError
from facevlm.config import ConfigError
from facevlm.generate import Reply, Request
from facevlm.generate.endpoint import Endpoint, Failure
from facevlm.prompts import asked_parts, gold, question
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import LABEL_SETS

RECORD = FaceRecord(id="0", source="s", media="0.png", emotion="happiness", label_set="basic7",
                    aus={4: 0, 6: 2, 12: 3}, split="train")  # fmt: skip
GOOD = ("<think>The cheek raiser (AU6) narrows the eyes and the lip corner puller (AU12) lifts the mouth: this is "
        "happiness.</think><au>AU6, AU12</au><answer>happiness</answer>")  # fmt: skip
ABSENT = GOOD.replace("The cheek raiser", "AU4 and the cheek raiser")
SHORT = GOOD.replace(" narrows the eyes and the lip corner puller (AU12) lifts the mouth", "")
WRONG = GOOD.replace("happiness", "anger")
ASIDE = "An earlier reply could not be used:"


class Script:
    """Says `script(request, n)`, n counting how often that picture was asked; remembers every call."""

    engine = "scripted"

    def __init__(self, script: Callable[[Request, int], str | Reply]) -> None:
        self.script = script
        self.calls: list[tuple[list[Request], int, float, int | None]] = []
        self.asked: dict[bytes, int] = {}

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        self.calls.append((list(requests), max_new_tokens, temperature, seed))
        return [self.reply(request) for request in requests]

    def reply(self, request: Request) -> Reply:
        face = request.images[0].tobytes()
        self.asked[face] = self.asked.get(face, 0) + 1
        said = self.script(request, self.asked[face])
        return said if isinstance(said, Reply) else Reply(said, 10, 5)

    @property
    def texts(self) -> list[list[str]]:
        return [[request.text for request in requests] for requests, *_ in self.calls]


def options(**given: Any) -> TeacherOptions:
    return TeacherOptions(model="org/Big-VLM-8B", **{"min_words": 8, "max_words": 80, **given})


@pytest.fixture
def faces(tmp_path: Path) -> Callable[[int], list[FaceRecord]]:
    """Records whose pictures have their number as brightness."""

    def make(n: int) -> list[FaceRecord]:
        for i in range(n):
            Image.new("RGB", (32, 32), (i, i, i)).save(tmp_path / f"{i}.png")
        return [replace(RECORD, id=str(i), media=f"{i}.png") for i in range(n)]

    return make


def brightness(request: Request) -> int:
    return request.images[0].tobytes()[0]


Faces = Callable[[int], list[FaceRecord]]


# -- the loop


def test_what_passes_is_kept_with_who_wrote_it(faces: Faces, tmp_path: Path) -> None:
    record = faces(1)[0]
    [kept] = Teacher(options(), Script(lambda *_: GOOD)).write([record], tmp_path)
    assert isinstance(kept, FaceRecord)
    assert kept.rationale == GOOD[len("<think>") : GOOD.index("</think>")]
    plan = plan_of(record, 0) + 1
    assert kept.rationale_by == f"teacher Big-VLM-8B, label-conditioned, prompt {plan}, T 0.7, try 1 of 3"
    assert replace(kept, rationale=None, rationale_by=None) == record
    assert gold(kept, ("think", "au", "answer")) == GOOD


def test_order_is_that_of_the_records_and_each_gets_its_own(faces: Faces, tmp_path: Path) -> None:
    def numbered(request: Request, n: int) -> str:
        late = brightness(request) % 3  # some pass at once, some later, in another order than given
        return GOOD.replace("this is", f"face {brightness(request)} shows") if n > late else SHORT

    records = faces(12)
    written = Teacher(options(), Script(numbered)).write(records, tmp_path)
    assert [kept.id for kept in written] == [record.id for record in records]
    for i, kept in enumerate(written):
        assert isinstance(kept, FaceRecord) and f"face {i} " in str(kept.rationale)
        assert str(kept.rationale_by).endswith(f"try {i % 3 + 1} of 3")


def test_a_round_is_one_call_over_all_that_wait(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: GOOD if n > brightness(request) % 2 else SHORT)
    Teacher(options(), script).write(faces(40), tmp_path)
    assert [len(requests) for requests, *_ in script.calls] == [40, 20]


def test_the_faults_are_named_when_it_is_asked_again(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: [ABSENT, SHORT, GOOD][n - 1])
    [kept] = Teacher(options(), script).write(faces(1), tmp_path)
    assert isinstance(kept, FaceRecord) and str(kept.rationale_by).endswith("try 3 of 3")
    first, second, third = (texts[0] for texts in script.texts)
    assert ASIDE not in first and second.startswith(first) and third.startswith(first)
    assert "- the thinking names brow lowerer (AU4), which the face does not show" in second
    assert "- the thinking has 7 words; between 8 and 80 are wanted" in third and "brow lowerer (AU4), wh" not in third


def test_after_all_tries_a_record_is_dropped_with_its_last_faults(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: ABSENT if n < 3 else WRONG)
    [drop] = Teacher(options(), script).write(faces(1), tmp_path)
    assert len(script.calls) == 3
    assert drop == Drop("0", "no rationale passed", "the answer is anger, not happiness; the thinking ends on anger, "
                        "not on happiness", "train")  # fmt: skip


def test_of_the_candidates_that_pass_the_one_naming_most_units_is_kept(faces: Faces, tmp_path: Path) -> None:
    vague = GOOD.replace("lip corner puller (AU12)", "mouth corner")
    script = Script(lambda request, n: [ABSENT, vague, GOOD, GOOD.replace("lifts", "pulls")][n - 1])
    [kept] = Teacher(options(candidates=4), script).write(faces(1), tmp_path)
    assert isinstance(kept, FaceRecord)
    assert kept.rationale == GOOD[len("<think>") : GOOD.index("</think>")]
    assert "T 0.7, best of 4, try 1 of 3" in str(kept.rationale_by)
    assert len({seed for *_, seed in script.calls}) == len(script.calls) == 4


def test_the_least_faulty_candidate_says_what_to_mend(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: [WRONG, SHORT, GOOD, GOOD][n - 1])
    Teacher(options(candidates=2), script).write(faces(1), tmp_path)
    assert "7 words" in script.texts[2][0] and "anger" not in script.texts[2][0].partition(ASIDE)[2]


def test_what_is_asked_of_a_record_hangs_on_nothing_beside_it(faces: Faces, tmp_path: Path) -> None:
    records = faces(6)
    together, apart = Script(lambda *_: SHORT), Script(lambda *_: SHORT)
    Teacher(options(), together).write(records, tmp_path)
    Teacher(options(), apart).write(records[4:5], tmp_path)
    assert [(texts[4]) for texts in together.texts] == [texts[0] for texts in apart.texts]
    assert [seed for *_, seed in together.calls] == [seed for *_, seed in apart.calls]
    assert len({seed for *_, seed in apart.calls}) == 3
    other = Script(lambda *_: SHORT)
    Teacher(options(seed=1), other).write(records[4:5], tmp_path)
    assert other.calls[0][3] != apart.calls[0][3]


def test_greedy_is_not_asked_the_same_twice(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda *_: WRONG)
    [drop] = Teacher(options(temperature=0.0, condition="blind"), script).write(faces(1), tmp_path)
    assert len(script.calls) == 1 and isinstance(drop, Drop)
    told = Script(lambda *_: WRONG)  # the first fault changes the question, after that it stays
    Teacher(options(temperature=0.0, tries=9), told).write(faces(1), tmp_path)
    assert len(told.calls) == 2


def test_records_that_need_none_stay_as_they_are_and_cost_nothing(tmp_path: Path) -> None:
    has = replace(RECORD, rationale="Mine.", rationale_by="me", media="missing.png")
    empty = FaceRecord(id="9", source="s", media="missing.png", valence=0.3)
    script = Script(lambda *_: GOOD)
    assert Teacher(options(), script).write([has, empty], tmp_path) == [has, empty]
    assert script.calls == []


def test_a_picture_that_cannot_be_read_is_dropped_with_the_reason_of_the_picture(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    good, gone, torn = faces(1)[0], replace(RECORD, id="1", media="no.png"), replace(RECORD, id="2", media="torn.png")
    kept, *drops = Teacher(options(), Script(lambda *_: GOOD)).write([good, gone, torn], tmp_path)
    assert isinstance(kept, FaceRecord)
    assert [(drop.id, drop.reason) for drop in drops if isinstance(drop, Drop)] == [
        ("1", "file missing"), ("2", "not an image")]  # fmt: skip


def test_the_face_is_cropped_and_all_frames_are_shown(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (64, 48), (i, 0, 0)).save(tmp_path / f"{i}.png")
    clip = replace(RECORD, media="clip", frames=("0.png", "1.png", "2.png"), box=(8, 8, 24, 24))
    script = Script(lambda *_: GOOD)
    Teacher(options(), script).write([clip], tmp_path)
    images = script.calls[0][0][0].images
    assert [image.getpixel((5, 5)) for image in images] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    assert {image.size for image in images} == {(24, 24)}


def test_a_failed_request_is_asked_again_without_its_fault_being_told(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: Failure("", 0, 0, "HTTP 500: oops", again=True) if n == 1 else GOOD)
    [kept] = Teacher(options(), script).write(faces(1), tmp_path)
    assert isinstance(kept, FaceRecord) and script.texts[0] == script.texts[1]


def test_a_request_that_is_refused_is_not_asked_again(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: Failure("", 0, 0, "HTTP 400: flagged", again=False))
    asks = Teacher(options(), script)
    assert asks.write(faces(1), tmp_path) == [Drop("0", "the model gave no answer", "HTTP 400: flagged", "train")]
    assert len(script.calls) == 1 and asks.spent["failed"] == 1


# -- blind, and the policy


def test_a_blind_teacher_is_not_shown_the_labels_and_not_told_them_by_its_faults(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda request, n: [WRONG.replace("AU6, AU12", "AU6"), SHORT, GOOD][n - 1])
    [kept] = Teacher(options(condition="blind"), script).write(faces(1), tmp_path)
    assert isinstance(kept, FaceRecord) and ", blind, prompt " in str(kept.rationale_by)
    first, second, third = (texts[0] for texts in script.texts)
    assert "AU4" in first and "AU6" in first and "Emotion:" not in first and "present: brow lowerer" in first
    assert second == first  # what was wrong were labels alone
    assert third == first + ("\nAn earlier reply could not be used:\n"
                             "- the thinking has 7 words; between 8 and 80 are wanted\nAvoid this.")  # fmt: skip


def test_the_policy_gets_its_own_question_every_time(faces: Faces, tmp_path: Path) -> None:
    record = faces(1)[0]
    script = Script(lambda request, n: GOOD if n == 3 else SHORT)
    asks = Teacher(TeacherOptions(model="runs/grpo", min_words=8), script, "policy")
    [kept] = asks.write([record], tmp_path)
    own = question(("think", "au", "answer"), LABEL_SETS["basic7"].labels)
    assert script.texts == [[own]] * 3
    assert isinstance(kept, FaceRecord) and kept.rationale_by == "policy grpo, T 0.7, try 3 of 3"


# -- prompts


@pytest.mark.parametrize("condition", ["labels", "blind"])
@pytest.mark.parametrize("change", [{}, {"aus": {}}, {"emotion": None, "label_set": None}])
@pytest.mark.parametrize("plan", [0, 1, 2])
def test_a_prompt_asks_for_what_the_labels_can_answer(condition: Any, change: dict[str, Any], plan: int) -> None:
    record = replace(RECORD, **change)
    parts = asked_parts("explain", record)
    text = prompt(record, parts, condition, plan, 30, 200)
    assert ("<au>" in text) == ("AU4" in text) == bool(record.aus)
    assert ("<answer>" in text) == ("happiness" in text) == (record.emotion is not None)
    assert "30 to 200 words" in text
    if condition == "labels":
        assert render(parts, "your explanation", {6: None, 12: None}, record.emotion or "") in text
        assert ("Action units absent: brow lowerer (AU4)." in text) == bool(record.aus)


def test_plans_are_spread_over_the_records() -> None:
    assert {plan_of(replace(RECORD, id=str(i)), 0) for i in range(40)} == {0, 1, 2}


# -- budget


def test_spent_is_counted_and_goes_on_from_what_was_saved(faces: Faces, tmp_path: Path) -> None:
    asks = Teacher(options(), Script(lambda *_: GOOD))
    asks.write(faces(3), tmp_path)
    assert asks.spent == {"requests": 3, "failed": 0, "prompt_tokens": 30, "completion_tokens": 15}
    later = Teacher(options(), Script(lambda *_: GOOD), spent=asks.spent)
    later.write(faces(2), tmp_path)
    assert later.spent["requests"] == 5 and asks.spent["requests"] == 3


def test_requests_never_exceed_their_budget(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda *_: SHORT)
    asks = Teacher(options(budget_requests=7), script)
    said = r"6 of budget_requests 7 are spent, 1 remain, and the next round asks 3.*larger budget"
    with pytest.raises(BudgetSpent, match=said):
        asks.write(faces(3), tmp_path)
    assert asks.spent["requests"] == 6 and len(script.calls) == 2
    more = Teacher(options(budget_requests=100), Script(lambda *_: GOOD), spent=asks.spent)
    assert all(isinstance(kept, FaceRecord) for kept in more.write(faces(3), tmp_path))


def test_candidates_count_as_requests(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent, match="the next round asks 8"):
        Teacher(options(budget_requests=7, candidates=4), Script(lambda *_: GOOD)).write(faces(2), tmp_path)


def test_no_round_begins_once_the_tokens_are_spent(faces: Faces, tmp_path: Path) -> None:
    script = Script(lambda *_: SHORT)
    asks = Teacher(options(budget_tokens=40), script)
    said = r"45 of budget_tokens 40 are spent \(30 in prompts, 15 in replies; 3 requests\)"
    with pytest.raises(BudgetSpent, match=said) as e:
        asks.write(faces(3), tmp_path)
    assert len(script.calls) == 1 and isinstance(e.value, ConfigError)


# -- options


@pytest.mark.parametrize(
    ("given", "message"),
    [({"tries": 0}, "tries is 0; it must be 1 or more"),
     ({"min_words": 50, "max_words": 40}, "min_words 50 is more than max_words 40"),
     ({"candidates": 2, "temperature": 0.0}, "at temperature 0 they would all be the same"),
     ({"engine": "endpoint"}, "engine endpoint needs url"),
     ({"engine": "vllm", "url": "http://h/v1"}, "url is for engine endpoint"),
     ({"modell": "x"}, "teacher: .*modell: unknown key"),
     ({"temperature": -1.0}, "temperature -1 not below 0")],
)  # fmt: skip
def test_wrong_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s){message}"):
        check("teacher", {"model": "tiny", **given})


def test_the_policy_takes_no_labels() -> None:
    with pytest.raises(ConfigError, match="shows no labels"):
        check("policy", {"model": "tiny", "condition": "labels"})
    assert check("policy", {"model": "tiny"}).model == "tiny"


def test_a_model_that_is_not_there_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(ModelError, match=r"'\./nope' does not exist"):
        make("teacher", {"model": "./nope"})


def test_a_url_makes_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("SOME_KEY", "k")
    made = make("teacher", {"model": "Big", "url": "http://h:1/v1", "api_key_env": "SOME_KEY", "concurrency": 3,
                            "retries": 1, "timeout": 9.0, "body": {"top_p": 0.5}}, {"requests": 4})  # fmt: skip
    asks = made.generator
    assert isinstance(asks, Endpoint) and made.spent["requests"] == 4
    assert (asks.model, asks.url, asks.concurrency, asks.retries, asks.timeout, asks.body) == (
        "Big", "http://h:1/v1", 3, 1, 9.0, {"top_p": 0.5})  # fmt: skip


def test_engine_options_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, Any] = {}

    def engine(model: str, name: str, **rest: Any) -> Script:
        got.update(model=model, name=name, **rest)
        return Script(lambda *_: GOOD)

    monkeypatch.setattr(teacher.generate, "engine", engine)
    make("policy", {"model": "tiny", "engine": "transformers", "max_images": 4,
                    "engine_options": {"dtype": "float32"}})  # fmt: skip
    assert got == {"model": "tiny", "name": "transformers", "max_images": 4, "dtype": "float32"}


# -- with a model

POLICY = """
import json, sys
from dataclasses import replace
from data_builders.teacher import make
from facevlm.record import FaceRecord, read
model, engine, folder = sys.argv[1:]
found = read(folder)
bare = [replace(record, rationale=None, rationale_by=None) for record in found.records]
asks = make("policy", {"model": model, "engine": engine, "tries": 2, "temperature": 0.3, "max_new_tokens": 96})
written = asks.write(bare, found.root)
assert [w.id for w in written] == [record.id for record in bare]
kept = [w for w in written if isinstance(w, FaceRecord)]
print(json.dumps([[w.rationale, w.rationale_by] for w in kept] + [asks.spent]))
"""


@pytest.fixture(scope="module")
def policy(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model after a few steps on the drawn faces: it knows the answer form, and some of the faces."""
    out = tmp_path_factory.mktemp("models") / "policy"
    keys = [f"records={records}", f"out={out}", "model=tiny", "tasks={explain: 1}", "freeze=vision",
            "trainer={max_steps: 60, per_device_train_batch_size: 12, learning_rate: 1.5e-3, save_strategy: 'no'}"]
    done = subprocess.run([sys.executable, "-m", "facevlm.sft", *keys], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_the_embedded_model_writes_rationales_for_drawn_faces(policy: Path, records: Path, engine: str) -> None:
    # In a process of its own: an engine loaded in this one would leave its state behind.
    pytest.importorskip(engine)
    done = subprocess.run([sys.executable, "-c", POLICY, str(policy), engine, str(records)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    *kept, spent = json.loads(done.stdout.splitlines()[-1])
    assert len(kept) >= 3
    assert all(len(text.split()) >= 5 and by.startswith("policy policy, T 0.3, try ") for text, by in kept)
    assert 32 <= spent["requests"] <= 64 and spent["prompt_tokens"] > 49 * 32
