from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from trl import GRPOConfig

from facevlm.config import load, read_yaml
from facevlm.record import FaceRecord, RecordSet
from facevlm.training import examples
from rl import grpo
from rl.mix import gold_check
from rl.rewards import REWARDS
from rl.sampling import settings
from rl.utility import Sampling

RL = Path("configs/rl")
VARIANTS = RL / "variants"
RECIPES = ("facial-r1", "r1-omni", "affectgpt-r1", "favchat", "videmo-1-attributes", "videmo-2-expressions",
           "videmo-3-emotions", "videmo-4-tree", "qlora-24gb")  # fmt: skip

FACE = FaceRecord(
    "1", "s", "a.jpg", split="train", emotion="happiness", label_set="basic7", aus={4: 0, 6: 3, 12: 4}, au_threshold=1,
    emotion_words=("delighted",), attributes={"smiling": "yes", "eyeglasses": "no"},
    rationale="The cheeks are raised (AU6) and the lip corners are pulled up (AU12): happiness.",
)  # fmt: skip
"""A face with every label that a recipe asks for."""


def config(name: str, *more: str) -> grpo.Config:
    return load(grpo.Config, "", ["--config", str(RL / f"{name}.yaml"), *more])


def laid_over(variant: str) -> tuple[GRPOConfig, GRPOConfig]:
    """TRL's arguments of facial-r1, without and with a variant."""
    over = ("--config", str(VARIANTS / f"{variant}.yaml"))
    return grpo.arguments(config("facial-r1")), grpo.arguments(config("facial-r1", *over))


@pytest.mark.parametrize("name", RECIPES)
def test_rewards_of_a_recipe_judge_what_it_asks_and_pay_the_gold_answer(name: str) -> None:
    found = config(name)
    rows = examples(RecordSet([FACE], Path()), found.tasks, found.seed, found.per_record)
    assert {row["task"] for row in rows} == set(found.tasks)
    paid = {reward: REWARDS[reward] for reward, weight in found.rewards.items() if weight}
    assert gold_check(paid, rows) == []  # raises where the gold answer gets less than 1


@pytest.mark.parametrize("name", RECIPES)
def test_groups_of_a_recipe_can_share_their_prefix(name: str) -> None:
    args = grpo.arguments(config(name))
    assert args.num_generations == 8 and args.per_device_train_batch_size % 8 == 0
    assert "lora_dropout" not in (config(name).lora or {})


def test_curriculum_goes_on_where_the_former_stage_ended() -> None:
    stages = [config(name) for name in RECIPES if name.startswith("videmo")]
    assert [after.model for after in stages[1:]] == [before.out for before in stages[:-1]]
    assert all(stage.trainer["beta"] > 0 for stage in stages)


# -- variants


def changed(before: GRPOConfig, after: GRPOConfig) -> dict[str, Any]:
    old, new = before.to_dict(), after.to_dict()
    return {name: new[name] for name in new if new[name] != old[name] and name != "logging_dir"}


def test_gspo_has_one_ratio_an_answer_and_four_updates_a_round() -> None:
    before, after = laid_over("gspo")
    assert changed(before, after) == {
        "importance_sampling_level": "sequence", "loss_type": "grpo", "epsilon": 3e-4, "epsilon_high": 4e-4,
        "gradient_accumulation_steps": 1,
    }  # fmt: skip
    # Several updates a round are what sets GSPO apart; the round is as large as before.
    assert after.steps_per_generation == 4 and after.generation_batch_size == before.generation_batch_size


def test_dr_grpo_divides_by_neither_length_nor_spread() -> None:
    assert changed(*laid_over("dr-grpo")) == {"loss_type": "dr_grpo", "scale_rewards": "none"}


def test_dapo_clips_higher_and_leaves_cut_answers_out() -> None:
    before, after = laid_over("dapo")
    assert changed(before, after) == {"epsilon_high": 0.28, "mask_truncated_completions": True}
    assert (after.epsilon, after.beta, after.loss_type) == (0.2, 0.0, "dapo")
    found = config("facial-r1", "--config", str(VARIANTS / "dapo.yaml"))
    rule = settings(found.sampling, after)
    assert rule is not None and (rule.refill, rule.cool, rule.retire) == (3, 0, 0)  # refilled, and nothing else


def test_gdpo_compares_each_reward_by_itself() -> None:
    assert changed(*laid_over("gdpo")) == {"multi_objective_aggregation": "normalize_then_sum"}


@pytest.mark.parametrize("variant", ["gspo", "dr-grpo", "dapo", "gdpo"])
def test_variant_leaves_the_rest_of_a_recipe_alone(variant: str) -> None:
    over = ("--config", str(VARIANTS / f"{variant}.yaml"))
    plain, laid = config("facial-r1"), config("facial-r1", *over)
    assert (laid.model, laid.rewards, laid.lora) == (plain.model, plain.rewards, plain.lora)
    assert laid.trainer == plain.trainer | read_yaml(VARIANTS / f"{variant}.yaml")["trainer"]


def test_favchat_draws_by_utility() -> None:
    found = config("favchat")
    assert settings(found.sampling, grpo.arguments(found)) == Sampling()


# -- eight GPUs, as accelerate's own launcher reads them


def launched(name: str) -> Any:
    given = launch_command_parser().parse_args(["--main_process_port", "0", "--config_file",
                                                f"configs/accelerate/{name}.yaml", "x.py"])
    args = _validate_launch_command(given)[0]
    assert (args.num_processes, args.num_machines, args.mixed_precision) == (8, 1, "bf16")
    return args


def test_fsdp2_is_what_accelerate_makes_of_its_config(monkeypatch: pytest.MonkeyPatch) -> None:
    args = launched("fsdp2")
    assert args.use_fsdp and not args.use_deepspeed
    for name, value in prepare_multi_gpu_env(args).items():
        if name.startswith("FSDP"):
            monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"


def test_zero3_is_what_accelerate_makes_of_its_config() -> None:
    args = launched("zero3")
    assert args.use_deepspeed and not args.use_fsdp
    assert (args.zero_stage, args.zero3_init_flag, args.zero3_save_16bit_model) == (3, True, True)
    assert (args.offload_optimizer_device, args.offload_param_device) == ("none", "none")
