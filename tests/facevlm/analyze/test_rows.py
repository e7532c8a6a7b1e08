import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from facevlm import generate
from facevlm.analyze import ROW, Config, __main__
from facevlm.answer import MODES
from facevlm.checkpoint import write_facts
from facevlm.config import ConfigError
from facevlm.generate import Request, Scripted
from facevlm.prompts import question
from facevlm.vocab import BASIC_EMOTIONS, LABEL_SETS

GOOD = "<think>Lip corners up.</think><au>AU6, AU12:C</au><answer>happiness</answer>"
NAMES = {(255, 0, 0): "red", (0, 128, 0): "green", (0, 0, 255): "blue", (255, 255, 255): "white"}

Ask = Callable[..., list[dict[str, Any]]]


def always(text: str) -> Scripted:
    return Scripted(lambda _: text)


def colour(request: Request) -> str:
    """The name of the picture's colour, as thinking."""
    return f"<think>{NAMES[request.images[0].getpixel((5, 5))]}</think>"  # type: ignore[index]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the command in this process."""

    def run(*argv: object) -> None:
        monkeypatch.setattr(sys, "argv", ["analyze", *map(str, argv)])
        __main__.main()

    return run


def error(row: dict[str, Any]) -> str:
    """The reason, without the file's name."""
    return str(row["error"]).partition(":")[0]


# -- rows


def test_row_holds_what_the_model_said(ask: Ask, config: Callable[..., Config], photos: Path) -> None:
    row = ask(config(inputs=[str(photos / "red.png")]), always(GOOD))[0]
    assert {key: row[key] for key in ROW.names if key != "provenance"} == {
        "path": str(photos / "red.png"), "emotion": "happiness", "thinking": "Lip corners up.", "text": GOOD,
        "aus": [{"au": 6, "name": "cheek raiser", "region": "cheeks", "intensity": None},
                {"au": 12, "name": "lip corner puller", "region": "mouth corners", "intensity": 3}],
        "faults": [], "error": None, "video": None, "second": None, "face": 0, "box": None, "score": None,
        "probabilities": None,
    }  # fmt: skip


def test_files_that_are_no_pictures_are_rows_with_an_error(ask: Ask, config: Callable[..., Config]) -> None:
    rows = ask(config(), always(GOOD))
    failed = {Path(row["path"]).name: error(row) for row in rows if row["error"]}
    assert failed == {"bomb.png": "too many pixels", "damaged.png": "damaged image", "empty.jpg": "empty file",
                      "words.png": "not an image"}  # fmt: skip
    assert all(row["emotion"] is row["aus"] is row["text"] is row["faults"] is None for row in rows if row["error"])


def test_file_that_may_not_be_read_is_a_row_with_an_error(
    ask: Ask, config: Callable[..., Config], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "red.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    rows = ask(config(), always(GOOD))
    assert [error(row) for row in rows if Path(row["path"]).name == "red.png"] == ["unreadable file"]


def test_folder_of_broken_files_alone_asks_the_model_nothing(
    ask: Ask, config: Callable[..., Config], photos: Path
) -> None:
    def script(request: Request) -> str:
        raise AssertionError(request)

    assert error(ask(config(inputs=[str(photos / "empty.jpg")]), Scripted(script))[0]) == "empty file"


def test_transparency_is_laid_on_white(ask: Ask, config: Callable[..., Config], photos: Path) -> None:
    assert ask(config(inputs=[str(photos / "clear.png")]), Scripted(colour))[0]["thinking"] == "white"


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_answers_stay_with_their_pictures(ask: Ask, config: Callable[..., Config], photos: Path, batch: int) -> None:
    rows = ask(config(batch=batch), Scripted(colour))
    assert [row["path"] for row in rows] == sorted(str(p) for p in photos.iterdir())
    said = {Path(row["path"]).stem: row["thinking"] for row in rows if not row["error"]}
    assert said == {"red": "red", "green": "green", "blue": "blue", "clear": "white"}


def test_unreadable_answer_keeps_its_text_and_names_its_faults(
    ask: Ask, config: Callable[..., Config], photos: Path
) -> None:
    text = "<think>x</think><au>no AU4</au><answer>bliss</answer>"
    row = ask(config(inputs=[str(photos / "red.png")]), always(text))[0]
    assert (row["text"], row["aus"], row["emotion"], row["error"]) == (text, None, None, None)
    assert row["faults"] == ["'no AU4' is not an AU", "'bliss' is not an emotion on offer"]


def test_face_without_action_units_is_told_from_an_unreadable_list(
    ask: Ask, config: Callable[..., Config], photos: Path
) -> None:
    said = always("<au>none</au><answer>neutral</answer>")
    assert ask(config(inputs=[str(photos / "red.png")], mode="fast"), said)[0]["aus"] == []


# -- the question


def asked(ask: Ask, config: Config) -> str:
    """The question that the model was asked."""
    seen: list[str] = []
    ask(config, Scripted(lambda request: seen.append(request.text) or GOOD))  # type: ignore[func-returns-value]
    return seen[0]


def test_question_is_the_one_of_the_mode(ask: Ask, config: Callable[..., Config]) -> None:
    assert asked(ask, config(mode="label")) == question(MODES["label"], BASIC_EMOTIONS)


def test_emotions_on_offer_are_those_the_model_was_tuned_on(
    ask: Ask, config: Callable[..., Config], tmp_path: Path
) -> None:
    write_facts(tmp_path, labels=["joy", "pain"])
    assert "Emotions: joy, pain." in asked(ask, config(model=str(tmp_path)))


def test_label_set_of_the_config_comes_first(ask: Ask, config: Callable[..., Config], tmp_path: Path) -> None:
    write_facts(tmp_path, labels=["joy", "pain"])
    offered = ", ".join(LABEL_SETS["fer2013"].labels)
    assert f"Emotions: {offered}." in asked(ask, config(model=str(tmp_path), label_set="fer2013"))


def test_pixel_budget_is_the_models_or_the_configs(ask: Ask, config: Callable[..., Config], tmp_path: Path) -> None:
    write_facts(tmp_path, max_pixels=400)
    sizes: list[tuple[int, int]] = []
    note = Scripted(lambda request: sizes.append(request.images[0].size) or GOOD)  # type: ignore[func-returns-value]
    ask(config(model=str(tmp_path)), note)
    ask(config(model=str(tmp_path), max_pixels=100), note)
    assert sizes == [(20, 20)] * 4 + [(10, 10)] * 4


# -- files


def test_json_lines_hold_the_rows_and_where_they_come_from(ask: Ask, config: Callable[..., Config]) -> None:
    rows = ask(config(), always(GOOD))
    assert len(rows) == 8 and list(rows[0]) == ROW.names
    made = rows[0]["provenance"]
    prompt = question(MODES["explain"], BASIC_EMOTIONS)
    assert made["prompt_sha256"] == hashlib.sha256(prompt.encode()).hexdigest()
    assert (made["model"], made["engine"], made["mode"], made["max_pixels"]) == ("tiny", "scripted", "explain", 512**2)
    assert {"python", "facevlm", "pillow"} <= made["versions"].keys()


def test_parquet_holds_the_same_rows(ask: Ask, config: Callable[..., Config], tmp_path: Path) -> None:
    rows = ask(config(out=str(tmp_path / "faces.parquet")), always(GOOD))
    assert pq.read_schema(tmp_path / "faces.parquet").equals(ROW)
    lines = ask(config(), always(GOOD))
    assert [row | {"provenance": json.loads(row["provenance"])} for row in rows] == lines


def test_folder_of_the_output_is_made(ask: Ask, config: Callable[..., Config], tmp_path: Path) -> None:
    assert len(ask(config(out=str(tmp_path / "new/folder/faces.jsonl")), always(GOOD))) == 8


def test_failure_leaves_nothing_behind(ask: Ask, config: Callable[..., Config], photos: Path, tmp_path: Path) -> None:
    def script(request: Request) -> str:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        ask(config(), Scripted(script))
    assert list(tmp_path.iterdir()) == [photos]


def test_failure_leaves_an_earlier_output_as_it_was(ask: Ask, config: Callable[..., Config]) -> None:
    ask(config(), always(GOOD))
    before = Path(config().out).read_bytes()
    with pytest.raises(ZeroDivisionError):
        ask(config(), Scripted(lambda _: str(1 // 0)))
    assert Path(config().out).read_bytes() == before


# -- what is refused


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"out": "faces.csv"}, r"'faces\.csv' must end in \.jsonl or \.parquet"),
     ({"label_set": "moods"}, "'moods' is unknown; known: basic7"),
     ({"batch": 0, "every": 0.0}, "batch 0 is below 1\nevery 0.0 is no number of seconds"),
     ({"shard": "3/2", "out": "faces"}, "'3/2' is not i/n"),
     ({"shard": "1/2"}, "needs a folder as `out`"),
     ({"overlap": 1.5}, "overlap 1.5 is not within 0-1")],
)  # fmt: skip
def test_wrong_keys_are_refused(config: Callable[..., Config], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**keys)


def test_folder_that_does_not_exist_is_refused(ask: Ask, config: Callable[..., Config], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        ask(config(inputs=[str(tmp_path / "gone")]), always(GOOD))


# -- the command


def test_command_reports_what_it_did(command: Callable[..., None], photos: Path, tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(generate, "engine", lambda *_: always("<answer>sadness</answer>"))
    command(photos, "--model", "tiny", "--out", tmp_path / "out.jsonl")
    said = capsys.readouterr().out
    assert "8 pictures: 4 faces answered, 4 of them not quite in the form; 4 could not be asked about" in said
    assert "empty file" in said and f"written to {tmp_path / 'out.jsonl'}" in said


def test_missing_model_ends_the_command_with_a_message(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "facevlm.analyze", str(photos), "--model", "./nope", "--out",
                           str(tmp_path / "out.jsonl")], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("error: model './nope' does not exist; give a folder")
    assert "Traceback" not in done.stderr


def test_command_ends_with_a_message(command: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match=r"^error: gone/ does not exist"):
        command("gone/", "--out=x.jsonl", "--model", "tiny")


def test_real_model_answers_every_picture(ask: Ask, config: Callable[..., Config], tiny_model: Path) -> None:
    rows = ask(config(model=str(tiny_model), engine="transformers", max_new_tokens=4))
    assert [row["text"] is None for row in rows] == [row["error"] is not None for row in rows]
    assert rows[0]["provenance"]["engine"] == "transformers" and len(rows[0]["provenance"]["weights"]) == 64


class Sure(Scripted):
    """A double that can tell probabilities, and then writes nothing."""

    def __init__(self) -> None:
        super().__init__(lambda request: pytest.fail("asked for text"))

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        sadder = {label: 0.1 / (len(labels) - 1) for label in labels} | {"sadness": 0.9}
        return [sadder for _ in requests]


def test_label_mode_gives_the_probability_of_each_label(
    ask: Ask, config: Callable[..., Config], photos: Path
) -> None:
    row = ask(config(inputs=[str(photos / "red.png")], mode="label"), Sure())[0]
    assert (row["emotion"], row["text"], row["faults"]) == ("sadness", "<answer>sadness</answer>", [])
    assert [pair["label"] for pair in row["probabilities"]] == list(BASIC_EMOTIONS)
    assert {pair["label"]: pair["p"] for pair in row["probabilities"]}["sadness"] == 0.9


def test_real_model_gives_probabilities_that_sum_to_one(
    ask: Ask, config: Callable[..., Config], photos: Path, tiny_model: Path
) -> None:
    keys = {"inputs": [str(photos / "red.png")], "model": str(tiny_model), "engine": "transformers", "mode": "label"}
    row = ask(config(**keys))[0]
    chances = {pair["label"]: pair["p"] for pair in row["probabilities"]}
    assert sum(chances.values()) == pytest.approx(1) and row["emotion"] == max(chances, key=lambda k: chances[k])
