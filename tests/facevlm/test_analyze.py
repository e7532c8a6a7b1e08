import hashlib
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from facevlm import analyze
from facevlm.analyze import ROW, Config
from facevlm.answer import MODES
from facevlm.checkpoint import write_facts
from facevlm.config import ConfigError
from facevlm.generate import Request, Scripted
from facevlm.prompts import question
from facevlm.vocab import BASIC_EMOTIONS, LABEL_SETS

GOOD = "<think>Lip corners up.</think><au>AU6, AU12:C</au><answer>happiness</answer>"
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def bomb() -> bytes:
    """A PNG of a few bytes that claims 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def always(text: str) -> Scripted:
    return Scripted(lambda _: text)


def colour(request: Request) -> str:
    """The name of the picture's colour, as thinking."""
    names = {rgb: name for name, rgb in COLOURS.items()}
    return f"<think>{names[request.images[0].getpixel((5, 5))]}</think>"  # type: ignore[index]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four readable pictures, one of them transparent, and four files that are none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("red", "green", "blue"):
        Image.new("RGB", (40, 40), COLOURS[name]).save(folder / f"{name}.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(folder / "clear.png")
    (folder / "empty.jpg").touch()
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "words.png").write_text("no picture")
    (folder / "damaged.png").write_bytes((folder / "red.png").read_bytes()[:60])
    return folder


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> Callable[..., Config]:
    """A config over the photos; keys may be overridden."""

    def make(**keys: Any) -> Config:
        return Config(**{"inputs": [str(photos)], "model": "tiny", "out": str(tmp_path / "out.jsonl"), **keys})

    return make


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the command in this process."""

    def run(*argv: object) -> None:
        monkeypatch.setattr(sys, "argv", ["analyze", *map(str, argv)])
        analyze.main()

    return run


def lines(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def error(row: dict[str, Any]) -> str:
    """The reason, without the file's name."""
    return str(row["error"]).partition(":")[0]


# -- rows


def test_row_holds_what_the_model_said(config: Callable[..., Config], photos: Path) -> None:
    row = analyze.run(config(inputs=[str(photos / "red.png")]), always(GOOD))[0]
    assert {key: row[key] for key in ROW.names if key != "provenance"} == {
        "path": str(photos / "red.png"), "emotion": "happiness", "thinking": "Lip corners up.", "text": GOOD,
        "aus": [{"au": 6, "name": "cheek raiser", "region": "cheeks", "intensity": None},
                {"au": 12, "name": "lip corner puller", "region": "mouth corners", "intensity": 3}],
        "faults": [], "error": None,
    }  # fmt: skip


def test_files_that_are_no_pictures_are_rows_with_an_error(config: Callable[..., Config]) -> None:
    rows = analyze.run(config(), always(GOOD))
    failed = {Path(row["path"]).name: error(row) for row in rows if row["error"]}
    assert failed == {"bomb.png": "too many pixels", "damaged.png": "damaged image", "empty.jpg": "empty file",
                      "words.png": "not an image"}  # fmt: skip
    assert all(row["emotion"] is row["aus"] is row["text"] is row["faults"] is None for row in rows if row["error"])


def test_folder_of_broken_files_alone_asks_the_model_nothing(config: Callable[..., Config], photos: Path) -> None:
    def script(request: Request) -> str:
        raise AssertionError(request)

    assert error(analyze.run(config(inputs=[str(photos / "empty.jpg")]), Scripted(script))[0]) == "empty file"


def test_transparency_is_laid_on_white(config: Callable[..., Config], photos: Path) -> None:
    assert analyze.run(config(inputs=[str(photos / "clear.png")]), Scripted(colour))[0]["thinking"] == "white"


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_answers_stay_with_their_pictures(config: Callable[..., Config], photos: Path, batch: int) -> None:
    rows = analyze.run(config(batch=batch), Scripted(colour))
    assert [row["path"] for row in rows] == sorted(str(p) for p in photos.iterdir())
    said = {Path(row["path"]).stem: row["thinking"] for row in rows if not row["error"]}
    assert said == {"red": "red", "green": "green", "blue": "blue", "clear": "white"}


def test_unreadable_answer_keeps_its_text_and_names_its_faults(config: Callable[..., Config], photos: Path) -> None:
    text = "<think>x</think><au>no AU4</au><answer>bliss</answer>"
    row = analyze.run(config(inputs=[str(photos / "red.png")]), always(text))[0]
    assert (row["text"], row["aus"], row["emotion"], row["error"]) == (text, None, None, None)
    assert row["faults"] == ["'no AU4' is not an AU", "'bliss' is not an emotion on offer"]


def test_face_without_action_units_is_told_from_an_unreadable_list(
    config: Callable[..., Config], photos: Path
) -> None:
    said = always("<au>none</au><answer>neutral</answer>")
    assert analyze.run(config(inputs=[str(photos / "red.png")], mode="fast"), said)[0]["aus"] == []


# -- the question


def asked(config: Config) -> str:
    """What the model was asked."""
    seen: list[str] = []
    analyze.run(config, Scripted(lambda request: seen.append(request.text) or GOOD))  # type: ignore[func-returns-value]
    return seen[0]


def test_question_is_the_one_of_the_mode(config: Callable[..., Config]) -> None:
    assert asked(config(mode="label")) == question(MODES["label"], BASIC_EMOTIONS)


def test_emotions_on_offer_are_those_the_model_was_tuned_on(config: Callable[..., Config], tmp_path: Path) -> None:
    write_facts(tmp_path, labels=["joy", "pain"])
    assert "Emotions: joy, pain." in asked(config(model=str(tmp_path)))


def test_label_set_of_the_config_comes_first(config: Callable[..., Config], tmp_path: Path) -> None:
    write_facts(tmp_path, labels=["joy", "pain"])
    offered = ", ".join(LABEL_SETS["fer2013"].labels)
    assert f"Emotions: {offered}." in asked(config(model=str(tmp_path), label_set="fer2013"))


def test_pixel_budget_is_the_models_or_the_configs(config: Callable[..., Config], tmp_path: Path) -> None:
    write_facts(tmp_path, max_pixels=400)
    sizes: list[tuple[int, int]] = []
    note = Scripted(lambda request: sizes.append(request.images[0].size) or GOOD)  # type: ignore[func-returns-value]
    analyze.run(config(model=str(tmp_path)), note)
    analyze.run(config(model=str(tmp_path), max_pixels=100), note)
    assert sizes == [(20, 20)] * 4 + [(10, 10)] * 4


# -- files


def test_json_lines_hold_the_rows_and_where_they_come_from(config: Callable[..., Config]) -> None:
    rows = analyze.run(config(), always(GOOD))
    written = lines(config().out)
    assert [{**row, "provenance": None} for row in written] == [{**row, "provenance": None} for row in rows]
    made = written[0]["provenance"]
    prompt = question(MODES["explain"], BASIC_EMOTIONS)
    assert made["prompt_sha256"] == hashlib.sha256(prompt.encode()).hexdigest()
    assert (made["model"], made["engine"], made["mode"], made["max_pixels"]) == ("tiny", "scripted", "explain", 512**2)
    assert {"python", "facevlm", "pillow"} <= made["versions"].keys()


def test_parquet_holds_the_same_rows(config: Callable[..., Config], tmp_path: Path) -> None:
    rows = analyze.run(config(out=str(tmp_path / "faces.parquet")), always(GOOD))
    table = pq.read_table(tmp_path / "faces.parquet")
    assert table.schema.equals(ROW)
    assert table.to_pylist() == rows


def test_folder_of_the_output_is_made(config: Callable[..., Config], tmp_path: Path) -> None:
    analyze.run(config(out=str(tmp_path / "new/folder/faces.jsonl")), always(GOOD))
    assert len(lines(tmp_path / "new/folder/faces.jsonl")) == 8


def test_failure_leaves_nothing_behind(config: Callable[..., Config], photos: Path, tmp_path: Path) -> None:
    def script(request: Request) -> str:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        analyze.run(config(), Scripted(script))
    assert list(tmp_path.iterdir()) == [photos]


def test_failure_leaves_an_earlier_output_as_it_was(config: Callable[..., Config]) -> None:
    analyze.run(config(), always(GOOD))
    before = Path(config().out).read_bytes()
    with pytest.raises(ZeroDivisionError):
        analyze.run(config(), Scripted(lambda _: str(1 // 0)))
    assert Path(config().out).read_bytes() == before


# -- what is refused


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"out": "faces.csv"}, r"'faces\.csv' must end in \.jsonl or \.parquet"),
     ({"label_set": "moods"}, "'moods' is unknown; known: basic7")],
)  # fmt: skip
def test_wrong_keys_are_refused(config: Callable[..., Config], keys: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        analyze.run(config(**keys), always(GOOD))


def test_folder_that_does_not_exist_is_refused(config: Callable[..., Config], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone does not exist"):
        analyze.run(config(inputs=[str(tmp_path / "gone")]), always(GOOD))


# -- the command


def test_command_reports_what_it_did(command: Callable[..., None], photos: Path, tmp_path: Path,
                                     monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(analyze, "engine", lambda *_: always("<answer>sadness</answer>"))
    command(photos, "--model", "tiny", "--out", tmp_path / "out.jsonl")
    said = capsys.readouterr().out
    assert "8 pictures: 4 answered, 4 of them not quite in the form; 4 unreadable" in said
    assert "empty file" in said and f"written to {tmp_path / 'out.jsonl'}" in said


def test_missing_model_ends_the_command_with_a_message(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "facevlm.analyze", str(photos), "--model", "./nope", "--out",
                           str(tmp_path / "out.jsonl")], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("error: model './nope' does not exist; give a folder")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("argv", "message"), [(["gone/", "--out=x.jsonl"], "gone does not exist"),
                                               (["--out=x.csv", "inputs=[x]"], "must end in .jsonl")])  # fmt: skip
def test_command_ends_with_a_message(command: Callable[..., None], argv: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=rf"^error: .*{message}"):
        command(*argv, "--model", "tiny")


def test_real_model_answers_every_picture(config: Callable[..., Config], tiny_model: Path) -> None:
    rows = analyze.run(config(model=str(tiny_model), engine="transformers", max_new_tokens=4))
    assert [row["text"] is None for row in rows] == [row["error"] is not None for row in rows]
    assert json.loads(rows[0]["provenance"])["engine"] == "transformers"
