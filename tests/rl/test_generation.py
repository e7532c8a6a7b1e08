"""Where completions stop, how long each task may be, at which temperature; the default rewards of each task."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from trl import GRPOConfig

from facevlm import sft
from facevlm.checkpoint import read_facts
from facevlm.config import ConfigError, load
from facevlm.model import load_processor
from facevlm.tasks import TASKS
from rl import grpo
from rl.generation import Asked, Stops, check, unexpanded
from rl.history import read_lines
from rl.mix import default_mix, leave_idle
from rl.rewards import DEFAULT, REWARDS

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "<think>Lip corners up.</think><au>AU12</au><answer>happiness</answer>"
Make = Callable[..., grpo.Config]

PLUGIN = """
said = []

def length(completions, task, completion_ids=(), trainer_state=None, **_):
    if trainer_state is not None:
        said.extend(zip(task, map(len, completion_ids), (c[0]["content"] for c in completions)))
    return [1.0 if trainer_state is None else 1 / (1 + len(c[0]["content"])) for c in completions]
"""


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A reward that remembers what it was shown."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "plugin_lengths.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    sys.modules.pop("plugin_lengths", None)


@pytest.fixture
def said() -> list[tuple[str, int, str]]:
    """(task, tokens, text) of each completion that the reward has seen; empty at first."""
    import plugin_lengths  # type: ignore[import-not-found]

    plugin_lengths.said.clear()
    return plugin_lengths.said  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def make(tiny_model: Path, records: Path) -> Make:
    """A config of one quick step; keys may be overridden, those of `trainer` one by one."""

    def config(out: Path, trainer: dict[str, Any] | None = None, **keys: Any) -> grpo.Config:
        steps = {"max_steps": 1, "num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 12,
                 "learning_rate": 1e-3, "disable_tqdm": True, "report_to": "none"}  # fmt: skip
        values = {"model": str(tiny_model), "records": str(records), "out": str(out), "max_pixels": 4096,
                  "rewards": {"plugin_lengths:length": 1.0}}  # fmt: skip
        return grpo.Config(**{**values, **keys, "trainer": {**steps, **(trainer or {})}})

    return config


def weights(out: Path | str) -> dict[str, torch.Tensor]:
    return load_file(Path(out) / "model.safetensors")  # type: ignore[no-any-return]


def same(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log(out: Path, name: str) -> list[float]:
    return [entry[name] for entry in read_lines(out / "health/log.jsonl") if name in entry]


# -- where a completion stops


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_processor(str(tiny_model)).tokenizer


def ends(tokenizer: Any, texts: list[str], tags: list[str], limits: list[int], on: bool = True) -> list[int | None]:
    """Where each of some completions is stopped, as transformers asks: all rows at once, after each token."""
    prompt = tokenizer.encode(f"Say {ANSWER} now.")
    rows = [tokenizer.encode(text) for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([[*prompt, *row, *[tokenizer.pad_token_id] * (width - len(row))] for row in rows])
    stops = Stops([Asked(f"</{tag}>", n) for tag, n in zip(tags, limits, strict=True)], tokenizer, on)
    found: list[int | None] = [None] * len(rows)
    for n in range(1, width + 1):
        for i, done in enumerate(stops(ids[:, : len(prompt) + n], None).tolist()):
            if done and found[i] is None and n <= len(rows[i]):
                found[i] = n
    assert all(there is None or there == end for there, end in zip(found, stops.ends, strict=True))
    return found


def test_completion_is_stopped_by_its_first_word_after_the_form(tokenizer: Any) -> None:
    eos, form = tokenizer.eos_token, len(tokenizer.encode(ANSWER))
    texts = [ANSWER + eos, f"{ANSWER} \n{eos}", ANSWER + "<answer>fear</answer>", ANSWER + "\n\n The face is happy."]
    found = ends(tokenizer, texts, ["answer"] * 4, [999] * 4)
    assert found[:2] == [None, None]
    for text, end in zip(texts[2:], found[2:], strict=True):
        shown = tokenizer.decode(tokenizer.encode(text)[:end])
        assert end is not None and end > form and shown.startswith(ANSWER)
        assert shown.removeprefix(ANSWER).strip() and len(shown.removeprefix(ANSWER).split()) == 1


def test_tag_in_the_question_or_of_another_part_stops_nothing(tokenizer: Any) -> None:
    assert ends(tokenizer, [ANSWER, "<au>AU12</au>"], ["answer", "au"], [999, 999]) == [None, None]
    first, second = ends(tokenizer, ["<au>AU12</au><answer>fear</answer>"] * 2, ["answer", "au"], [999, 999])
    assert first is None and second == len(tokenizer.encode("<au>AU12</au>")) + 1


def test_each_completion_has_a_limit_of_its_own(tokenizer: Any) -> None:
    assert ends(tokenizer, [ANSWER] * 3, ["answer"] * 3, [4, 9, 999]) == [4, 9, None]


def test_without_tags_only_the_limit_counts(tokenizer: Any) -> None:
    assert ends(tokenizer, [ANSWER + " and so on and so on"] * 2, ["answer"] * 2, [999, 5], on=False) == [None, 5]


# -- stopping in real runs


@pytest.fixture(scope="module")
def drilled(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned two answers by heart, and to end them. Read only."""
    out = tmp_path_factory.mktemp("models") / "drilled"
    sft.run(sft.Config(model="tiny", records=str(records), out=str(out), max_pixels=4096, limit=2, tasks={"fast": 1.0},
                       trainer={"max_steps": 25, "per_device_train_batch_size": 2, "learning_rate": 2e-3,
                                "lr_scheduler_type": "constant", "warmup_steps": 0, "report_to": "none",
                                "disable_tqdm": True, "save_strategy": "no"}))  # fmt: skip
    return out


def update(make: Make, out: Path, drilled: Path, stop: bool, mute: bool, mask: bool = False) -> None:
    """One update of the drilled model; muted, it cannot end an answer by itself."""
    words = load_processor(str(drilled)).tokenizer
    ids = [words.convert_tokens_to_ids(f"<|{kind}_pad|>") for kind in ("image", "video")]
    options = {"suppress_tokens": [*ids, words.eos_token_id]} if mute else {}
    grpo.run(make(out, model=str(drilled), tasks={"fast": 1.0}, limit=2, stop=stop, trainer={
        "max_completion_length": 40, "generation_kwargs": options, "mask_truncated_completions": mask,
    }))  # fmt: skip


def test_run_on_text_is_not_generated(make: Make, drilled: Path, said: Any, tmp_path: Path) -> None:
    update(make, tmp_path / "out", drilled, stop=True, mute=True)
    closed = [(tokens, text.partition("</answer>")[2]) for _, tokens, text in said if "</answer>" in text]
    assert len(closed) >= 6
    for tokens, rest in closed:
        assert tokens < 40 and len(rest.split()) == 1  # one token and no filling
    assert log(tmp_path / "out", "completions/clipped_ratio") == [1.0]  # none has ended by itself
    assert log(tmp_path / "out", "grad_norm")[0] > 0


def test_what_ran_on_counts_as_cut_off_where_that_is_masked(make: Make, drilled: Path, tmp_path: Path) -> None:
    update(make, tmp_path / "out", drilled, stop=True, mute=True, mask=True)
    assert log(tmp_path / "out", "grad_norm") == [0.0]


def test_honest_completions_are_not_touched(make: Make, drilled: Path, said: Any, tmp_path: Path) -> None:
    update(make, tmp_path / "with", drilled, stop=True, mute=False)
    first = list(said)
    said.clear()
    update(make, tmp_path / "without", drilled, stop=False, mute=False)
    assert first == said and sum(text.endswith("</answer>") for _, _, text in said) >= 6
    assert log(tmp_path / "with", "completions/clipped_ratio")[0] < 0.3
    assert same(tmp_path / "with", tmp_path / "without")


# -- several tasks, each with its length


def test_tasks_are_mixed_and_each_has_its_length(make: Make, said: Any, tmp_path: Path) -> None:
    tasks = {"explain": 1.0, "label": 1.0, "au_single": 1.0}
    mix = {"plugin_lengths:length": 1.0, "emotion": 1.0, "choice": 1.0}
    grpo.run(make(tmp_path / "out", tasks=tasks, per_record=2, balance=0.5, lengths={"label": 5, "au_single": 7},
                  rewards=mix, trainer={"per_device_train_batch_size": 32}))  # fmt: skip
    longest = {task: max(n for name, n, _ in said if name == task) for task, _, _ in said}
    assert longest == {"explain": 12, "label": 5, "au_single": 7}  # random weights never end by themselves
    assert log(tmp_path / "out", "completions/clipped_ratio") == [1.0]
    assert read_facts(str(tmp_path / "out"))["tasks"] == list(tasks)


# -- temperature


HOT: dict[str, Any] = {"temperature": {0.0: 1.0, 0.5: 1.0, 1.0: 0.001},
                       "trainer": {"max_steps": 5, "save_steps": 1, "save_total_limit": 5}}  # fmt: skip


@pytest.fixture(scope="module")
def cooled(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose temperature falls, with a checkpoint at every step. Read only."""
    out = tmp_path_factory.mktemp("runs") / "cooled"
    grpo.run(make(out, **HOT))
    return out


def test_temperature_follows_the_schedule_and_is_logged(cooled: Path) -> None:
    assert log(cooled, "temperature") == pytest.approx([1.0, 1.0, 1.0, 0.5005, 0.001])


def test_what_is_sampled_grows_surer_as_it_cools(cooled: Path) -> None:
    groups = [{c["text"] for c in line["completions"]} for line in read_lines(cooled / "health/samples.jsonl")]
    assert len(groups[0]) == 4 and len(groups[-1]) == 1


def test_stopped_run_goes_on_at_its_temperature(make: Make, cooled: Path, tmp_path: Path) -> None:
    shutil.copytree(cooled / "checkpoint-3", tmp_path / "out/checkpoint-3")
    grpo.run(make(tmp_path / "out", **HOT, resume=True))
    assert same(tmp_path / "out", cooled)


@pytest.mark.parametrize("sharing", ["on", "off"])
def test_log_probs_have_the_temperature_of_the_samples(make: Make, tmp_path: Path, sharing: Any) -> None:
    seen: list[tuple[float, float]] = []

    class Trainer(grpo.Trainer):
        """Compares the loss's log-probs of the first completion with the logits themselves."""

        def _get_per_token_logps_and_entropies(self, model: Any, ids: Any, mask: Any, keep: int, **given: Any) -> Any:
            found = super()._get_per_token_logps_and_entropies(model, ids, mask, keep, **given)
            grid = given["image_grid_thw"][:1]
            with torch.no_grad():
                logits = model(input_ids=ids[:1], attention_mask=mask[:1], image_grid_thw=grid,
                               pixel_values=given["pixel_values"][: int(grid.prod())],
                               mm_token_type_ids=given["mm_token_type_ids"][:1]).logits  # fmt: skip
            expected = torch.log_softmax(logits[:, -keep - 1 : -1] / self.generation_config.temperature, -1)
            expected = expected.gather(-1, ids[:1, -keep:, None])[..., 0]
            seen.append((self.generation_config.temperature, float((found[0][:1].detach() - expected).abs().max())))
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "Trainer", Trainer)
        grpo.run(make(tmp_path / "out", temperature={0.0: 1.0, 1.0: 0.4}, shared_prefix=sharing,
                      trainer={"max_steps": 2, "beta": 0.05, "learning_rate": 0.0}))  # fmt: skip
    assert log(tmp_path / "out", "shared_prefix") == [float(sharing == "on")] * 2
    assert {t for t, _ in seen} == {1.0, 0.4} and max(gap for _, gap in seen) < 1e-4
    # The weights stay: a reference at another temperature than the policy would show as a divergence.
    assert log(tmp_path / "out", "kl") == pytest.approx([0, 0], abs=1e-6)


def test_schedule_is_read_from_a_config_and_comes_back(tmp_path: Path) -> None:
    config = load(grpo.Config, "", ["model=m", "records=r", "out=o", "temperature={0: 1, 0.5: 0.9, 1: 0.7}"])
    assert config.temperature == {0.0: 1.0, 0.5: 0.9, 1.0: 0.7}
    assert grpo.arguments(config).max_completion_length == 512


# -- what is refused


@pytest.mark.parametrize(
    ("given", "message"),
    [({"lengths": {"smile": 5}}, "lengths.smile: the task is not asked; asked: explain, label"),
     ({"lengths": {"fast": 5}}, "lengths.fast: the task is not asked"),
     ({"lengths": {"label": 13}}, "lengths.label: 13 tokens is not within 1 to trainer.max_completion_length, 12"),
     ({"lengths": {"label": 0}}, "lengths.label: 0 tokens"),
     ({"temperature": {}}, "temperature: no point is given"),
     ({"temperature": {0.0: 1.0, 2.0: 0.7}}, "temperature.2: the share of the run is not within 0 to 1"),
     ({"temperature": {0.0: 0.0}}, "temperature.0: 0 is not a finite number above 0"),
     ({"temperature": {0.0: float("nan")}}, "temperature.0: nan is not"),
     ({"temperature": {0.0: 1.0}, "own_temperature": True}, "trainer.temperature is given, too")],
)  # fmt: skip
def test_what_cannot_be_sampled_is_refused(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    args = GRPOConfig(output_dir=str(tmp_path), max_completion_length=12, use_cpu=True, bf16=False, report_to="none")
    options = {"lengths": {}, "temperature": None, "stop": True, "own_temperature": False, **given}
    with pytest.raises(ConfigError, match=message):
        check(args, {"explain": 1.0, "label": 1.0, "fast": 0.0}, **options)


def test_continuous_batching_cannot_stop_single_completions(make: Make, tmp_path: Path) -> None:
    batching = {"use_transformers_continuous_batching": True}
    with pytest.raises(ConfigError, match="cannot stop single completions there; set stop=false"):
        grpo.arguments(make(tmp_path, trainer=batching))
    assert grpo.arguments(make(tmp_path, trainer=batching, stop=False)).use_transformers_continuous_batching


# -- vLLM, in a process of its own


@pytest.mark.parametrize(
    ("ids", "pictures", "expected"),
    [([1, 9, 9, 9, 2], 1, [1, 9, 2]), ([9, 9, 1, 9, 9, 9], 2, [9, 1, 9]), ([1, 2], 0, [1, 2]),
     ([1, 9, 2], 1, [1, 9, 2]), ([9, 9, 1, 9, 9], 1, [9, 9, 1, 9, 9])],
)  # fmt: skip
def test_vllm_is_handed_one_token_a_picture(ids: list[int], pictures: int, expected: list[int]) -> None:
    assert unexpanded(ids, 9, pictures) == expected


THROUGH_VLLM = """
import sys
from rl import generation, grpo, vllm_on_cpu
model, records, out, fault = sys.argv[1:]
if fault == "old weights":
    vllm_on_cpu.reload = lambda *_: None
elif fault == "untied":
    vllm_on_cpu._pack_tied_heads = lambda _: None
elif fault == "expanded":
    generation.unexpanded = lambda ids, *_: ids
grpo.run(grpo.Config(
    model=model, records=records, out=out, max_pixels=4096, rewards={"plugin_lengths:length": 1.0},
    tasks={"explain": 1.0, "label": 1.0}, lengths={"label": 5}, temperature={0.0: 1.0, 1.0: 0.8},
    trainer={"max_steps": 3, "num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 12,
             "learning_rate": 3e-3, "lr_scheduler_type": "constant", "disable_tqdm": True, "report_to": "none",
             "use_vllm": True, "vllm_mode": "colocate", "vllm_max_model_length": 512}))
import plugin_lengths, json
print(json.dumps(plugin_lengths.said))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed")
@pytest.mark.parametrize("fault", ["none", "old weights", "untied", "expanded"])
def test_vllm_on_a_cpu_samples_from_the_newest_weights(
    tiny_model: Path, records: Path, plugin: Path, tmp_path: Path, fault: str
) -> None:
    done = subprocess.run([sys.executable, "-c", THROUGH_VLLM, str(tiny_model), str(records), str(tmp_path), fault],
                          capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join([str(plugin), str(ROOT)])})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    apart = log(tmp_path, "sampling/sampling_logp_difference/max")
    # Nats between what vLLM says of its tokens and what the policy says of them, which counts picture tokens in, some
    # 0.01 of what random weights say. The first round needs no new weights.
    assert len(apart) == 3 and (max(apart) < 0.02) == (fault == "none"), apart
    assert (apart[0] < 0.02) == (fault != "expanded"), apart
    if fault == "none":
        longest = {task: max(n for name, n, _ in json.loads(done.stdout.splitlines()[-1]) if name == task)
                   for task in ("explain", "label")}  # fmt: skip
        assert longest == {"explain": 12, "label": 5}


# -- the default rewards of each task


def test_default_mix_of_explaining_is_the_default_mix() -> None:
    assert list(default_mix(["explain"]).items()) == list(DEFAULT.items())


@pytest.mark.parametrize("task", [name for name in TASKS if name != "description"])
def test_each_task_has_a_reward_that_judges_its_content(task: str) -> None:
    mix = default_mix([task])
    assert set(mix) <= set(REWARDS) and mix["format"] == 0.2
    assert any(mix[name] == 1.0 for name in mix if name not in ("format", "brevity"))


def test_task_that_no_reward_judges_is_refused() -> None:
    with pytest.raises(ConfigError, match="no reward .* judges the answers of task description: name rewards of your"):
        default_mix(["explain", "description"])


def test_default_reward_that_applies_to_no_record_is_left_out_aloud(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make(tmp_path, rewards=DEFAULT, tasks={"explain": 1.0, "age": 1.0})
    mix, rewards = grpo.plugged(config)
    assert set(mix) == {*DEFAULT, "number"}
    rows = grpo.training.load_rows(config.records, "train", config.tasks, 0, None)  # the faces have no age
    assert list(leave_idle(mix, rewards, rows, named=False)) == list(DEFAULT)
    assert "reward number is left out of the default mix: it applies to none of the 24 rows" in capsys.readouterr().out
