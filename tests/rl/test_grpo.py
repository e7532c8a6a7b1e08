import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from trl.trainer.utils import RepeatSampler

from facevlm import complete, training
from facevlm.checkpoint import Adapter, adapter_of, read_facts, write_facts
from facevlm.config import ConfigError, build, read_yaml
from facevlm.generate import Request, Transformers
from facevlm.images import load_face
from facevlm.model import load_processor, vision_part
from facevlm.record import read
from facevlm.vocab import BASIC_EMOTIONS
from rl import grpo
from rl.mix import gold_check
from rl.order import EpochOrder
from rl.rewards import DEFAULT, REWARDS

Make = Callable[..., grpo.Config]

# Random weights never hit the form: a reward that tells their noise apart is what they can learn from.
PLUGIN = '''
PATTERN = None

def share(completions, aus, **_):
    texts = [c[0]["content"] for c in completions]
    return [1.0 if t.startswith("<think>") else sum(x.isalpha() for x in t) / (1 + len(t)) for t in texts]

def half(completions, **_):
    return [0.5 for _ in completions]

def never(completions, **_):
    return [None for _ in completions]

def broken(completions, trainer_state=None, **_):
    if trainer_state is None:  # the gold check
        return [1.0 for _ in completions]
    if trainer_state.global_step:
        raise ValueError("out of order")
    return [float("inf"), *(0.5 for _ in completions[1:])]

def raises(completions, **_):
    raise ValueError("never works")

def length(completions, **_):
    return [float(len(c[0]["content"])) for c in completions]

seen = []

def columns(completions, **given):
    seen.append(sorted(given))
    return [1.0 for _ in completions]
'''
REWARDS_OF_THE_RUN = {"emotion": 1.0, "au_f1": 1.0, "format": 0.2, "plugin_rewards:share": 1.0,
                      "plugin_rewards:length": 0.0}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A user's own rewards, in a module that lies on the path."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "plugin_rewards.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("plugin_rewards", None)


@pytest.fixture(scope="module")
def make(tiny_model: Path, records: Path) -> Make:
    """A config of two quick steps; keys may be overridden, those of `trainer` one by one."""

    def config(out: Path, trainer: dict[str, Any] | None = None, **keys: Any) -> grpo.Config:
        steps = {"max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 12,
                 "learning_rate": 1e-3, "disable_tqdm": True, "report_to": "none"}  # fmt: skip
        values = {"model": str(tiny_model), "records": str(records), "out": str(out), "max_pixels": 4096,
                  "rewards": REWARDS_OF_THE_RUN}  # fmt: skip
        return grpo.Config(**{**values, **keys, "trainer": {**steps, **(trainer or {})}})

    return config


@pytest.fixture(scope="module")
def tuned(make: Make, tmp_path_factory: pytest.TempPathFactory) -> grpo.Config:
    """A finished run with all weights but the vision tower's. Read only."""
    config = make(tmp_path_factory.mktemp("runs") / "full")
    grpo.run(config)
    return config


@pytest.fixture(scope="module")
def rows(records: Path) -> list[dict[str, Any]]:
    return training.load_rows(str(records), "train", {"explain": 1.0}, seed=0, limit=None)


def weights(folder: Path | str, name: str = "model") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(Path(folder) / f"{name}.safetensors")
    return found


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def log(out: Path | str, step: int = 2) -> list[dict[str, float]]:
    """What was logged at each step."""
    state = json.loads((Path(out) / f"checkpoint-{step}/trainer_state.json").read_text())
    return [entry for entry in state["log_history"] if "reward" in entry]


# -- what a run does


def test_rewards_are_logged_under_the_names_of_the_config(tuned: grpo.Config) -> None:
    assert len(log(tuned.out)) == 2
    for entry in log(tuned.out):
        assert {f"rewards/{name}/mean" for name in REWARDS_OF_THE_RUN} <= entry.keys()


def test_reward_is_the_weighted_sum_and_weight_0_is_logged_only(tuned: grpo.Config) -> None:
    for entry in log(tuned.out):
        parts = [w * entry[f"rewards/{name}/mean"] for name, w in REWARDS_OF_THE_RUN.items()]
        assert entry["reward"] == pytest.approx(sum(parts), abs=1e-5)
        assert entry["rewards/plugin_rewards:length/mean"] > 1


def test_vision_tower_rests_and_the_language_model_learns(tuned: grpo.Config) -> None:
    before, after = weights(tuned.model), weights(tuned.out)
    moved = {vision_part(name) for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and moved == {"", "projector"}


def test_same_seed_gives_the_same_weights(make: Make, tuned: grpo.Config, tmp_path: Path) -> None:
    grpo.run(make(tmp_path / "again"))
    assert same(weights(tmp_path / "again"), weights(tuned.out))


def test_rewards_are_handed_labels_and_never_the_gold_answer(make: Make, tmp_path: Path) -> None:
    grpo.run(make(tmp_path / "out", rewards={"plugin_rewards:columns": 1.0}, trainer={"max_steps": 1}))
    given = sys.modules["plugin_rewards"].seen[-1]
    assert {"aus", "labelled_aus", "emotion", "parts", "labels"} <= set(given)
    assert not {"completion", "rationale", "caption"} & set(given)


# -- what a run leaves


def test_finished_model_is_whole(tuned: grpo.Config) -> None:
    names = {path.name for path in Path(tuned.out).iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "processor_config.json", "config.yaml",
                     "facevlm.json", "README.md", "checkpoint-2"}  # fmt: skip
    assert (Path(tuned.out) / "checkpoint-2" / complete.MARK).is_file()


def test_finished_model_answers(tuned: grpo.Config, records: Path) -> None:
    found = read(records, "test")
    face = load_face(found.path(found.records[0]), max_pixels=4096)
    reply = Transformers(tuned.out).generate([Request((face,), "Which emotion?")], max_new_tokens=4)[0]
    assert reply.completion_tokens > 0


def test_facts_say_how_to_serve_it(tuned: grpo.Config) -> None:
    assert read_facts(tuned.out) == {"max_pixels": 4096, "tasks": ["explain"], "base": tuned.model, "stage": "grpo",
                                     "labels": list(BASIC_EMOTIONS)}  # fmt: skip


def test_card_names_the_rewards_and_their_weights(tuned: grpo.Config) -> None:
    card = ModelCard.load(Path(tuned.out) / "README.md")
    assert "grpo" in card.data.tags
    assert "rewards and weights: emotion 1, au_f1 1, format 0.2, plugin_rewards:share 1" in card.text


def test_resolved_config_gives_the_run_again(tuned: grpo.Config) -> None:
    assert build(grpo.Config, read_yaml(Path(tuned.out) / "config.yaml")["config"]) == tuned


def test_pixel_budget_is_the_one_of_the_sft_run(make: Make, tiny_model: Path, tmp_path: Path) -> None:
    tuned = shutil.copytree(tiny_model, tmp_path / "sft")
    write_facts(tuned, max_pixels=1024)
    grpo.run(make(tmp_path / "out", model=str(tuned), max_pixels=None, trainer={"max_steps": 1}))
    assert read_facts(str(tmp_path / "out"))["max_pixels"] == 1024


def test_lora_leaves_an_adapter_of_the_language_model(make: Make, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "lora"
    grpo.run(make(out, lora={"r": 4}))
    assert adapter_of(str(out)) == (str(tiny_model), Adapter(str(out), 4))
    learned = weights(out, "adapter_model")
    assert {vision_part(name) for name in learned} == {""}
    assert any(learned[name].any() for name in learned if ".lora_B." in name)  # they start at 0


def test_adapter_of_the_sft_run_is_trained_on(make: Make, tiny_adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "next"
    grpo.run(make(out, model=str(tiny_adapter), lora={"r": 4}))
    base, adapter = adapter_of(str(tiny_adapter))
    assert adapter is not None and adapter_of(str(out)) == (base, Adapter(str(out), adapter.rank))
    first, second = weights(tiny_adapter, "adapter_model"), weights(out, "adapter_model")
    assert first.keys() == second.keys() and not same(first, second)


# -- stopping and going on


# 4 faces, 2 a step: step 3 begins the second epoch.
FOUR_STEPS: dict[str, Any] = {"limit": 4, "lora": {"r": 4, "lora_dropout": 0.1},
                              "trainer": {"max_steps": 4, "save_steps": 1, "save_total_limit": 4}}  # fmt: skip


@pytest.fixture(scope="module")
def straight(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs with a checkpoint at every step. Read only."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    grpo.run(make(out, **FOUR_STEPS))
    return out


@pytest.mark.parametrize("step", [1, 2, 3], ids=["in the first epoch", "between epochs", "in the second epoch"])
def test_stopped_run_ends_with_the_same_weights(make: Make, straight: Path, tmp_path: Path, step: int) -> None:
    shutil.copytree(straight / f"checkpoint-{step}", tmp_path / f"out/checkpoint-{step}")
    grpo.run(make(tmp_path / "out", **FOUR_STEPS, resume=True))
    assert same(weights(tmp_path / "out", "adapter_model"), weights(straight, "adapter_model"))


def test_each_epoch_has_an_order_of_its_own_that_comes_again() -> None:
    epochs = iter([None, 1.0, 1.5, 0])
    order = EpochOrder(RepeatSampler(range(50), mini_repeat_count=2, batch_size=5, seed=3), lambda: next(epochs))
    first, second, again, start = (list(order) for _ in range(4))
    assert len(order) == len(first) == 100 and sorted(first) == sorted(second)
    assert first == start != second == again


# -- the gold check


def test_gold_answers_pass_the_rewards_of_the_table(rows: list[dict[str, Any]]) -> None:
    gold_check({name: REWARDS[name] for name in (*DEFAULT, "codebook", "tree")}, rows)


def test_reward_that_denies_the_gold_answer_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reward plugin_rewards:half gives the gold answer of s\d+-\d+ only 0\.5"):
        grpo.run(make(tmp_path / "out", rewards={"plugin_rewards:half": 1.0}))
    assert not (tmp_path / "out").exists()


def test_one_row_denied_is_enough(rows: list[dict[str, Any]]) -> None:
    def picky(record_id: list[str], **_: Any) -> list[float | None]:
        return [0.0 if name == rows[7]["record_id"] else None if i % 2 else 1.0 for i, name in enumerate(record_id)]

    with pytest.raises(ConfigError, match=f"gold answer of {rows[7]['record_id']} only 0.0"):
        gold_check({"picky": picky}, rows)


def test_reward_that_never_applies_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reward plugin_rewards:never applies to none of the 24 rows"):
        grpo.run(make(tmp_path / "out", rewards={"plugin_rewards:never": 1.0}))


def test_au_reward_in_a_mode_that_asks_for_no_aus_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reward au_f1 applies to none"):
        grpo.run(make(tmp_path / "out", tasks={"label": 1.0}, rewards={"emotion": 1.0, "au_f1": 1.0}))


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_gold_answer_without_a_finite_score_is_refused(rows: list[dict[str, Any]], score: float) -> None:
    with pytest.raises(ConfigError, match=f"gold answer of .* only {score}"):
        gold_check({"odd": lambda completions, **_: [score] * len(completions)}, rows)


@pytest.mark.parametrize(
    ("name", "message"), [("plugin_rewards:raises", "fails on the gold answers: ValueError: never works"),
                          ("plugin_rewards:PATTERN", "fails on the gold answers: TypeError")])
def test_reward_that_cannot_even_judge_gold_answers_is_refused(
    make: Make, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"reward {name} {message}"):
        grpo.run(make(tmp_path / "out", rewards={name: 1.0}))


def test_reward_that_fails_later_is_left_out_counted_and_shown(
    make: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mix = {"plugin_rewards:share": 1.0, "plugin_rewards:broken": 1.0}
    grpo.run(make(tmp_path / "out", rewards=mix))
    first, second = log(tmp_path / "out")
    assert first["rewards/plugin_rewards:broken/mean"] == 0.5 and first["rewards/plugin_rewards:broken/failed"] == 0.5
    assert second["rewards/plugin_rewards:broken/failed"] == 1.0
    assert second["reward"] == pytest.approx(second["rewards/plugin_rewards:share/mean"])
    said = capfd.readouterr()
    assert "reward plugin_rewards:broken failed in 2 of 2 batches; 12 completions went without it" in said.out


# -- what is refused


@pytest.mark.parametrize(
    ("mix", "message"),
    [({"emotion": 0.0, "au_f1": 0}, "no reward has a weight other than 0"), ({}, "none is named"),
     ({"emotion": float("nan")}, "weight of emotion is nan"), ({"emotion": float("inf")}, "finite number"),
     ({"emotion": 1.0, "judge": 0.3}, "judge weighs 0.3; at most 0.25"),
     ({"emotion": 1.0, "judge": 0.2}, "judge needs to know whom to ask")],
)  # fmt: skip
def test_mix_that_cannot_train_is_refused(make: Make, tmp_path: Path, mix: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        grpo.run(make(tmp_path / "out", rewards=mix))


@pytest.mark.parametrize(
    ("judge", "message"), [({"model": "m"}, "url '' is no address"),
                           ({"url": "http://127.0.0.1:9/v1", "model": "m", "tone": "kind"}, "tone")])  # fmt: skip
def test_judge_that_cannot_be_asked_is_refused(
    make: Make, tmp_path: Path, judge: dict[str, Any], message: str
) -> None:
    pytest.importorskip("openai")
    with pytest.raises(ConfigError, match=f"judge: .*{message}"):
        grpo.run(make(tmp_path / "out", rewards={"emotion": 1.0, "judge": 0.0}, judge=judge))


@pytest.mark.parametrize(
    ("name", "message"),
    [("smile", "unknown reward 'smile'; known: format, emotion, .*judge, or package.module:attribute"),
     ("plugin_rewards:nope", "reward 'plugin_rewards:nope' cannot be loaded")],
)  # fmt: skip
def test_unknown_reward_is_refused(make: Make, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        grpo.run(make(tmp_path / "out", rewards={name: 1.0}))


def test_batch_that_holds_no_whole_groups_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer: .*\b6\b.*divisible.*\b4\b"):
        grpo.run(make(tmp_path / "out", trainer={"per_device_train_batch_size": 6}))


def test_all_wrong_trainer_keys_are_named_at_once(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        grpo.run(make(tmp_path / "out", trainer={"group_size": 8, "reward_weights": [1.0]}))
    assert "trainer.group_size: unknown key of GRPOConfig" in str(caught.value)
    assert "trainer.reward_weights: set it with the top-level key" in str(caught.value)


# -- no pictures in what is said


def test_picture_tokens_are_forbidden_to_both_engines(tiny_model: Path) -> None:
    processor = load_processor(str(tiny_model))
    ids = [processor.tokenizer.convert_tokens_to_ids(f"<|{kind}_pad|>") for kind in ("image", "video")]
    assert len(set(ids)) == 2
    assert grpo.mute_pictures(processor, use_vllm=False) == {"suppress_tokens": ids}
    assert grpo.mute_pictures(processor, use_vllm=True) == {"logit_bias": dict.fromkeys(ids, -100.0)}


def test_processor_without_picture_tokens_forbids_nothing() -> None:
    words = SimpleNamespace(unk_token_id=0, convert_tokens_to_ids=lambda name: 0)
    assert grpo.mute_pictures(SimpleNamespace(tokenizer=words), use_vllm=False) == {}
    assert grpo.mute_pictures(SimpleNamespace(tokenizer=words, image_token="<image>"), use_vllm=False) == {}  # noqa: S106
