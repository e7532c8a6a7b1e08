"""Stopping and going on: what counts as complete, what is refused, and runs that end as if they had never stopped."""

import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from facevlm import complete, resume, sft
from facevlm.config import ConfigError, read_yaml
from facevlm.record import RecordWriter, read, write_meta

Make = Callable[..., sft.Config]

# -- complete or not


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A marked folder with one file of each kind."""
    save_file({"a": torch.arange(1000.0)}, tmp_path / "model-00001.safetensors")
    save_file({"b": torch.arange(1000.0)}, tmp_path / "model-00002.safetensors")
    torch.save({"step": torch.arange(500.0)}, tmp_path / "optimizer.pt")
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": list(range(100))}))
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces/rank0").write_bytes(bytes(100))
    complete.mark(tmp_path, step=4)
    return tmp_path


def test_whole_folder_is_complete_and_its_mark_names_every_file(folder: Path) -> None:
    assert complete.fault(folder) is None
    found = complete.read_mark(folder)
    assert found is not None and found["step"] == 4 and found["files"]["pieces/rank0"] == 100
    assert len(found["files"]) == 5


def test_folder_without_a_mark_is_not_complete(folder: Path) -> None:
    (folder / complete.MARK).unlink()
    assert complete.fault(folder) == "it was never written to its end"


@pytest.mark.parametrize("text", ["", '{"step": 4}', '{"step": 4, "fil', "[]"])
def test_mark_that_says_nothing_counts_for_nothing(folder: Path, text: str) -> None:
    (folder / complete.MARK).write_text(text)
    assert complete.fault(folder) == "complete.json cannot be read"


@pytest.mark.parametrize("name", ["model-00002.safetensors", "optimizer.pt", "trainer_state.json", "pieces/rank0"])
def test_file_that_is_cut_short_or_gone_is_found(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    assert complete.fault(folder) == f"{name} has {len(data) // 2} of {len(data)} bytes"
    (folder / name).unlink()
    assert complete.fault(folder) == f"{name} is missing"


@pytest.mark.parametrize("name", ["model-00001.safetensors", "optimizer.pt", "trainer_state.json"])
def test_file_of_the_right_size_that_cannot_be_read_is_found(folder: Path, name: str) -> None:
    (folder / name).write_bytes(bytes((folder / name).stat().st_size))  # what a crash of the machine may leave
    assert complete.fault(folder) == f"{name} is damaged"


# -- which checkpoint


def checkpoint(out: Path, step: int, whole: bool = True) -> Path:
    path = out / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text("{}")
    if whole:
        complete.mark(path, step=step)
    return path


def test_newest_checkpoint_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    found = {step: checkpoint(tmp_path, step) for step in (900, 1000, 90)}
    assert resume.last_checkpoint(tmp_path) == found[1000]


def test_half_written_checkpoint_gives_way_to_the_last_complete_one_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path, 1)
    good = checkpoint(tmp_path, 2)
    checkpoint(tmp_path, 3, whole=False)
    assert resume.last_checkpoint(tmp_path) == good
    assert "checkpoint-3 is not complete (it was never written to its end): removed" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "checkpoint-2"]


def test_half_written_checkpoint_that_is_all_there_is_is_kept_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path, 3, whole=False)
    assert resume.last_checkpoint(tmp_path) is None
    assert "renamed to unfinished-checkpoint-3" in capsys.readouterr().out
    assert (tmp_path / "unfinished-checkpoint-3/trainer_state.json").is_file()
    assert resume.last_checkpoint(tmp_path) is None  # and is left alone from now on
    assert (tmp_path / "unfinished-checkpoint-3").is_dir()


def test_checkpoint_that_was_damaged_later_is_named_and_kept_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    (bad / "trainer_state.json").write_text("")
    assert resume.last_checkpoint(tmp_path) == good
    assert "checkpoint-4 is not complete (trainer_state.json has 0 of 2 bytes)" in capsys.readouterr().out
    assert (tmp_path / "unfinished-checkpoint-4").is_dir()


# -- the same run, or another one


def test_what_changes_the_result_is_told_apart_from_what_does_not() -> None:
    old = {"out": "a", "resume": False, "seed": 0, "rewards": {"emotion": 1.0},
           "trainer": {"learning_rate": 1e-5, "save_steps": 5, "max_steps": 10}}  # fmt: skip
    new = {"out": "b", "resume": True, "seed": 0, "rewards": {"emotion": 2, "format": 0.2},
           "trainer": {"learning_rate": 1e-5, "logging_steps": 2, "max_steps": 20, "optim": "sgd"}}  # fmt: skip
    assert resume.differences(old, new) == {
        "rewards.emotion": (1.0, 2), "rewards.format": (None, 0.2), "trainer.max_steps": (10, 20),
        "trainer.optim": (None, "sgd"),
    }  # fmt: skip
    assert resume.differences(old, {**old, "resume": True, "trainer": {**old["trainer"], "save_total_limit": 1}}) == {}


# -- saving


def saver(at_rest: Callable[[], bool] = lambda: True) -> tuple[resume.Saving, SimpleNamespace, SimpleNamespace]:
    state = SimpleNamespace(global_step=1, max_steps=10, is_world_process_zero=True, best_model_checkpoint=None)
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    return resume.Saving(None, at_rest), state, control


def test_checkpoint_waits_until_nothing_would_be_lost() -> None:
    rests = iter([False, False, True, False])
    saving, state, control = saver(lambda: next(rests))
    saved = []
    for step in range(1, 5):
        state.global_step, control.should_save = step, step == 1
        saving.on_step_end(None, state, control)
        saved += [step] if control.should_save else []
    assert saved == [3]


def test_last_checkpoint_waits_for_nothing() -> None:
    saving, state, control = saver(lambda: False)
    state.global_step, control.should_save = 10, True
    saving.on_step_end(None, state, control)
    assert control.should_save


def test_old_checkpoint_goes_only_after_the_new_one_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2, whole=False)
    saving, state, control = saver()
    saving.limit, state.global_step = 1, 2
    real, seen = resume.rotate_checkpoints, []
    monkeypatch.setattr(resume, "rotate_checkpoints",
                        lambda *given: (seen.append(complete.fault(new)), real(*given)))  # fmt: skip
    saving.on_save(SimpleNamespace(output_dir=str(tmp_path)), state, control)
    assert seen == [None] and not old.exists()


def test_run_whose_launcher_is_gone_stops_as_by_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr(os, "getppid", lambda: 4242)
    saving, state, control = saver()
    saving.on_step_end(None, state, control)
    assert not control.should_training_stop
    monkeypatch.setattr(os, "getppid", lambda: 1)
    saving.on_step_end(None, state, control)
    assert control.should_save and control.should_training_stop and saving.signal == signal.SIGTERM


def test_second_ctrl_c_ends_at_once_but_not_its_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    saving, _, _ = saver()
    now = time.monotonic()
    with saving.listening():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert saving.signal == signal.SIGINT
        monkeypatch.setattr(time, "monotonic", lambda: now + 60)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


# -- real runs


@pytest.fixture(scope="module")
def make(tiny_model: Path, records: Path) -> Make:
    """A config of five updates, two an epoch, with dropout and a checkpoint at each; it ends within an epoch."""

    def config(out: Path, trainer: dict[str, Any] | None = None, **keys: Any) -> sft.Config:
        steps = {"max_steps": 5, "per_device_train_batch_size": 4, "logging_steps": 1, "learning_rate": 1e-3,
                 "save_steps": 1, "save_total_limit": 5, "disable_tqdm": True, "report_to": "none"}  # fmt: skip
        values = {"model": str(tiny_model), "records": str(records), "out": str(out), "max_pixels": 4096, "limit": 8,
                  "lora": {"r": 4, "lora_dropout": 0.1}}  # fmt: skip
        return sft.Config(**{**values, **keys, "trainer": {**steps, **(trainer or {})}})

    return config


@pytest.fixture(scope="module")
def straight(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that never stopped. Read only."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    sft.run(make(out))
    return out


def weights(out: Path) -> bytes:
    return (out / "adapter_model.safetensors").read_bytes()


def stopped_at(straight: Path, out: Path, *steps: int) -> Path:
    """A copy of what a run left that was killed after some steps."""
    out.mkdir()
    shutil.copy(straight / "config.yaml", out)
    for step in steps:
        shutil.copytree(straight / f"checkpoint-{step}", out / f"checkpoint-{step}")
    return out


def losses(out: Path) -> list[float]:
    state = json.loads((out / "checkpoint-5/trainer_state.json").read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


@pytest.mark.parametrize("step", [1, 2, 3], ids=["in the first epoch", "between epochs", "in the second epoch"])
def test_stopped_run_ends_with_the_same_bytes(make: Make, straight: Path, tmp_path: Path, step: int) -> None:
    out = stopped_at(straight, tmp_path / "out", step)
    sft.run(make(out, resume=True))
    assert losses(out) == losses(straight)
    assert weights(out) == weights(straight)


def test_checkpoint_cut_short_after_it_was_marked_is_passed_over(
    make: Make, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stopped_at(straight, tmp_path / "out", 2, 3)
    path = out / "checkpoint-3/adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    sft.run(make(out, resume=True))
    assert weights(out) == weights(straight)
    said = capsys.readouterr().out
    assert "checkpoint-3 is not complete (adapter_model.safetensors has" in said
    assert f"going on from {out / 'checkpoint-2'}" in said


def test_run_killed_while_the_finished_model_was_written_trains_no_further(
    make: Make, straight: Path, tmp_path: Path
) -> None:
    out = stopped_at(straight, tmp_path / "out", 4, 5)
    sft.run(make(out, resume=True))
    assert weights(out) == weights(straight) and losses(out) == losses(straight)
    assert not (out / "checkpoint-6").exists() and resume.finished(make(out, resume=True))


def test_finished_run_says_so_and_touches_nothing(
    make: Make, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    sft.run(make(out, resume=True))
    assert f"{out} is finished: nothing is left to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_finished_run_goes_further_where_more_steps_are_asked_for(
    make: Make, straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "out"))
    # The first update still has the old schedule's rate, which is 0 after its end.
    sft.run(make(out, resume=True, trainer={"max_steps": 7, "save_steps": 6}))
    assert sorted(path.name for path in out.glob("checkpoint-*"))[-2:] == ["checkpoint-6", "checkpoint-7"]
    assert weights(out) != weights(straight) and resume.finished(make(out, resume=True, trainer={"max_steps": 7}))
    assert "trainer.max_steps: 5 -> 7" in capsys.readouterr().out


def test_finished_model_that_was_damaged_is_made_again(make: Make, straight: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(straight, tmp_path / "out"))
    (out / "adapter_model.safetensors").write_bytes(b"")
    sft.run(make(out, resume=True))
    assert weights(out) == weights(straight)


def test_sigterm_saves_first_and_the_run_goes_on_to_the_same_bytes(
    make: Make, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(sft.SFTTrainer):
        def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            if self.state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().training_step(*args, **kwargs)

    never, before = {"save_strategy": "no"}, signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(sft, "SFTTrainer", Interrupted)
        with pytest.raises(SystemExit) as stop:
            sft.run(make(tmp_path / "out", trainer=never))
    assert stop.value.code == 128 + 15
    said = capsys.readouterr().out
    assert "SIGTERM: the run ends after this update" in said and "stopped after 3 of 5 updates" in said
    assert complete.fault(tmp_path / "out/checkpoint-3") is None
    assert signal.getsignal(signal.SIGTERM) is before
    sft.run(make(tmp_path / "out", trainer=never, resume=True))
    assert weights(tmp_path / "out") == weights(straight)


def test_resume_without_a_checkpoint_says_that_it_begins(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume.start(make(tmp_path / "new", resume=True), []) is None
    assert "holds no complete checkpoint: the run starts at the beginning" in capsys.readouterr().out


def test_going_on_with_another_config_is_refused_with_every_change(
    make: Make, straight: Path, tmp_path: Path
) -> None:
    out = stopped_at(straight, tmp_path / "out", 2)
    with pytest.raises(ConfigError) as caught:
        sft.run(make(out, resume=True, seed=3, lora={"r": 8, "lora_dropout": 0.1}, trainer={"learning_rate": 1e-4}))
    text = str(caught.value)
    for line in ("lora.r: 4 -> 8", "seed: 0 -> 3", "trainer.learning_rate: 0.001 -> 0.0001"):
        assert f"\n  {line}" in text
    assert read_yaml(out / "config.yaml") == read_yaml(straight / "config.yaml")


def test_going_on_with_other_records_is_refused(make: Make, straight: Path, records: Path, tmp_path: Path) -> None:
    out, found = stopped_at(straight, tmp_path / "out", 2), read(records, "train")
    changed = tmp_path / "changed"
    changed.mkdir()
    writer = RecordWriter(changed)
    writer.add(dataclasses.replace(found.records[0], rationale="Another one."), *found.records[1:])
    writer.flush()
    write_meta(changed, found.root)
    with pytest.raises(ConfigError, match="rows: fingerprint .* the records were changed since"):
        sft.run(make(out, resume=True, records=str(changed)))


def test_records_may_move(make: Make, straight: Path, records: Path, tmp_path: Path) -> None:
    config = make(stopped_at(straight, tmp_path / "out", 5), resume=True,
                  records=str(shutil.copytree(records, tmp_path / "moved")))  # fmt: skip
    rows = sft.training.load_rows(config.records, "train", {"explain": 1.0}, 0, 8)
    assert resume.start(config, rows) == tmp_path / "out/checkpoint-5"
