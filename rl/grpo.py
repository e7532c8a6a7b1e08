"""GRPO with AU and emotion rewards: accelerate launch -m rl.grpo --config configs/rl/facial-r1.yaml

Records -> prompts and label columns -> TRL's GRPOTrainer with the rewards of `rl.rewards`. Before training, every
reward must give full marks to the gold answers. Against Facial-R1 (Wu et al. 2025): exact label after a synonym
table, AU F1 on a tagged list instead of AUs found in prose, and no AU term where a record has no AU labels.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import ProcessorMixin
from trl import GRPOConfig, GRPOTrainer

from facevlm import config as configs
from facevlm import mix, preflight, resume, training
from facevlm.checkpoint import ModelError, pixel_budget, write_facts
from facevlm.config import ConfigError, doc
from facevlm.model import (
    Dtype,
    Freeze,
    Quant,
    freeze,
    load_model,
    load_processor,
    lora_config,
    training_dtype,
)  # fmt: skip
from rl import generation, vllm_on_cpu
from rl.guard import check_mix, guarded, report
from rl.mix import Reward, default_mix, leave_idle
from rl.order import EpochOrder
from rl.rewards import DEFAULT, REWARDS
from rl.rewards.judge import Judge
from rl.sampling import Sampled
from rl.sampling import settings as sampling_rule
from rl.shared_prefix import Mode as Sharing
from rl.shared_prefix import SharedPrefix
from rl.utility import FILE as SAMPLING_TABLE
from rl.utility import Book, keys
from rl.watch import Watch


@dataclass(frozen=True)
class Config:
    model: str = doc("folder of an SFT run, Hub name, or tiny")
    records: str = doc("folder made by data_builders.build")
    out: str = doc("folder for checkpoints, logs and the finished model")
    split: str = doc("which split to train on", default="train")
    tasks: dict[str, float] = doc("what to ask: weight by task of docs/tasks.md; a record is asked those that its "
                                  "labels can answer", default_factory=lambda: {"explain": 1.0})  # fmt: skip
    per_record: int = doc("how many different tasks each record is asked at most", default=1)
    balance: float = doc("0 = classes of a task as frequent as in the data, 1 = all alike", default=0.0)
    rewards: dict[str, float] = doc(
        "name (or package.module:function) and weight of each reward; weight 0 = logged only; the default follows the "
        "tasks and the labels",
        default_factory=lambda: dict(DEFAULT),
    )
    judge: dict[str, Any] | None = doc("whom reward `judge` asks: url, model, api_key_env, pictures, …", default=None)
    reward_timeout: float = doc("seconds a batch may take a reward that waits or is your own", default=300.0)
    lengths: dict[str, int] = doc("most tokens of a completion by task, where less than trainer.max_completion_length",
                                  default_factory=dict)  # fmt: skip
    stop: bool = doc("stop a completion that goes on after its last closing tag (transformers; vLLM lets it go on)",
                     default=True)  # fmt: skip
    temperature: dict[float, float] | None = doc(
        "temperature of sampling by share of the run, linear between: {0: 1.0, 1: 0.7}; null = trainer.temperature",
        default=None,
    )
    sampling: dict[str, Any] | None = doc(
        "ask records by what their groups teach: least, refill, smoothing, cool, slow, retire, back (docs/grpo.md); "
        "{} = the defaults, null = each record once an epoch",
        default=None,
    )
    shared_prefix: Sharing = doc(
        "process a group's prompt and pictures once an update: auto (where proven equal), on, off", default="auto"
    )
    freeze: Freeze = doc("what keeps its weights: none, vision, vision+projector", default="vision")
    lora: dict[str, Any] | None = doc(
        "keys of peft.LoraConfig; null trains all weights that are not frozen", default=None
    )
    quant: Quant = doc("bitsandbytes quantisation of the base: none, 8bit, 4bit", default="none")
    dtype: Dtype = doc("auto (bfloat16 on GPUs, float32 on CPUs), bfloat16 or float32", default="auto")
    max_pixels: int | None = doc("most pixels a picture may have; null = as the model was tuned", default=None)
    limit: int | None = doc("use only the first so many records", default=None)
    seed: int = doc("of wordings, order, sampling and weights", default=0)
    resume: bool = doc("go on from the newest complete checkpoint in `out`", default=False)
    samples: int = doc("completions a step kept with their scores in `out`/health; 0 = none", default=4)
    trainer: dict[str, Any] = doc("keys of trl.GRPOConfig: num_generations, learning_rate, use_vllm, …",
                                  default_factory=dict)  # fmt: skip


_OURS = ("output_dir", "seed", "data_seed", "bf16", "reward_weights", "remove_unused_columns")


def arguments(config: Config) -> GRPOConfig:
    """TRL's arguments: its own defaults except where a face model needs others, then the user's.

    Raises:
        ConfigError: unknown keys, keys that facevlm sets, or numbers that TRL refuses.
    """
    training.check_keys(config.trainer, _OURS, GRPOConfig)
    defaults = {"learning_rate": 1e-5 if config.lora is not None else 1e-6, "num_generations": 8,
                "max_completion_length": 512, "logging_steps": 1, "save_total_limit": 2,
                "report_to": training.trackers(), "gradient_checkpointing": torch.cuda.is_available(),
                "dataloader_pin_memory": torch.cuda.is_available()}  # fmt: skip
    try:
        args = GRPOConfig(output_dir=config.out, seed=config.seed, bf16=_dtype(config) == "bfloat16",
                          reward_weights=list(config.rewards.values()), remove_unused_columns=False,
                          **(defaults | config.trainer))  # fmt: skip
    except ValueError as e:
        raise ConfigError(f"trainer: {e}") from e
    generation.check(args, config.tasks, config.lengths, config.temperature, config.stop,
                     "temperature" in config.trainer)  # fmt: skip
    sampling_rule(config.sampling, args)
    return args


def _dtype(config: Config) -> str:
    return training_dtype() if config.dtype == "auto" else config.dtype


def plugged(config: Config) -> tuple[dict[str, float], dict[str, Reward]]:
    """Weights and functions of the rewards that a config names, or of its tasks' where it leaves them at the default.

    Raises:
        ConfigError: a mix that cannot train anything, or a reward that is not there.
    """
    mix.check(config.tasks, config.per_record, config.balance)
    asked = [task for task, weight in config.tasks.items() if weight]
    weights = default_mix(asked) if config.rewards == DEFAULT else dict(config.rewards)
    _, *found = configs.together(lambda: check_mix(weights),
                                 *(partial(configs.plug, REWARDS, name, "reward") for name in weights))  # fmt: skip
    rewards: dict[str, Reward] = dict(zip(weights, found, strict=True))
    if "judge" in rewards:
        rewards["judge"] = judge(config)
    return weights, rewards


def mute_pictures(processor: ProcessorMixin, use_vllm: bool) -> dict[str, Any]:
    """Sampling options that forbid picture placeholders in a completion: the model would look for pixels that are not
    there, and one such token in one sample would end the run."""
    tokenizer = processor.tokenizer
    names = [getattr(processor, f"{kind}_token", None) for kind in ("image", "video")]
    ids = [tokenizer.convert_tokens_to_ids(name) for name in names if isinstance(name, str)]
    known = [i for i in ids if i is not None and i != tokenizer.unk_token_id]
    if not known:
        return {}
    return {"logit_bias": {i: -100.0 for i in known}} if use_vllm else {"suppress_tokens": known}


def judge(config: Config) -> Judge:
    """The judge that a config describes; what it has rated lies in the run's folder.

    Raises:
        ConfigError: none is described, with options that it does not have, or with an endpoint that cannot be used.
    """
    if config.judge is None:
        raise ConfigError("reward judge needs to know whom to ask: give `judge: {url: …, model: …}`")
    try:
        return Judge(**{"cache": Path(config.out) / "judge.jsonl"} | config.judge)
    except (TypeError, ModelError) as e:
        raise ConfigError(f"judge: {e}") from e


class Trainer(SharedPrefix, Sampled):
    """TRL's trainer with stops, lengths and temperatures of its own, shared-prefix updates, data-efficient sampling,
    and an order of questions that a run which goes on repeats."""

    def _get_train_sampler(self, dataset: Any = None) -> EpochOrder:
        return EpochOrder(super()._get_train_sampler(dataset), lambda: self.state.epoch)

    def at_rest(self) -> bool:
        """Whether the next update begins with new samples. A checkpoint in between would lose those that are left."""
        return self._step % (self.args.steps_per_generation * self.num_iterations) == 0


def look(trainer: Trainer, questions: list[dict[str, Any]]) -> None:
    """Every question must fit into the model and leave room for the answer; the model reads the longest one.

    Raises:
        ConfigError: naming the records that it cannot be asked about.
    """
    processor, load, args = trainer.processing_class, trainer.train_dataset.__getitem__, trainer.args
    preflight.texts(processor, questions)
    served = args.vllm_max_model_length if args.use_vllm else None
    made_for = preflight.window(trainer.accelerator.unwrap_model(trainer.model))
    limit = min((n for n in (served, made_for) if n), default=None)
    preflight.lengths(processor, questions, load, limit, args.max_completion_length)
    if not (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled):  # weights are in pieces before training
        preflight.looks(processor, trainer.model, questions, load)


def run(config: Config) -> None:
    """Train, and leave the finished model, its card and `facevlm.json` in `config.out`.

    Raises:
        ConfigError: what was given cannot work.
    """
    out = Path(config.out)
    args, (weights, rewards), rows = configs.together(
        lambda: arguments(config), lambda: plugged(config),
        lambda: training.load_rows(config.records, config.split, config.tasks, config.seed, config.limit,
                                   config.per_record, config.balance))  # fmt: skip
    weights = leave_idle(weights, rewards, rows, named=config.rewards != DEFAULT)
    args.reward_weights = list(weights.values())
    guards = guarded({name: rewards[name] for name in weights}, config.reward_timeout, REWARDS)
    if resume.finished(config):
        return
    checkpoint = resume.start(config, rows)
    max_pixels = config.max_pixels or pixel_budget(config.model)
    processor = load_processor(config.model)
    # TRL pads questions on the left but lets the processor pad the map of picture tokens on its own side: where they
    # differ, questions of unequal length lose track of their pictures.
    processor.tokenizer.padding_side = "left"
    args.generation_kwargs = mute_pictures(processor, args.use_vllm) | (args.generation_kwargs or {})
    if args.use_vllm and not torch.cuda.is_available():
        vllm_on_cpu.settle()
    model = load_model(config.model, dtype=_dtype(config), quant=config.quant)
    freeze(model, config.freeze)
    # The gold answer stays out of what rewards are handed: they judge by labels.
    questions = [{k: v for k, v in row.items() if k != "completion"} for row in rows]
    trainer = Trainer(
        model=model, args=args, reward_funcs=list(guards.values()), processing_class=processor,
        train_dataset=training.dataset(questions, max_pixels), peft_config=lora_config(config.lora, model),
        shared_prefix=config.shared_prefix, lengths=config.lengths, schedule=config.temperature, stop=config.stop,
    )  # fmt: skip
    trainer.reward_func_names = list(weights)  # logs and config say the same; TRL would take the functions' names
    trainer.watch = Watch(out, weights, args.num_generations, config.samples)
    trainer.add_callback(trainer.watch)
    if rule := sampling_rule(config.sampling, args):
        trainer.book = Book(keys(rows), rule, config.seed)
    look(trainer, questions)
    configs.write_resolved(config, out)
    resume.train(trainer, checkpoint, rows, trainer.at_rest)
    trainer.save_model(config.out)
    for line in report(guards):
        print(line)
    if trainer.accelerator.is_main_process and trainer.book is not None:
        trainer.book.save(out / SAMPLING_TABLE)
        print(trainer.book.summary())
    if trainer.accelerator.is_main_process:
        finish(trainer, config, rows, weights, max_pixels)


def finish(trainer: GRPOTrainer, config: Config, rows: list[dict[str, Any]], rewards: dict[str, float],
           max_pixels: int) -> None:  # fmt: skip
    """Write what belongs beside the weights."""
    write_facts(config.out, max_pixels=max_pixels, tasks=list(config.tasks), base=config.model, stage="grpo",
                labels=training.shared_labels(rows))  # fmt: skip
    weights = ", ".join(f"{name} {weight:g}" for name, weight in rewards.items())
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    training.write_card(
        Path(config.out), config.model, title=Path(config.out).name, method="grpo", records=Path(config.records).name,
        what=f"A face model tuned by GRPO with facevlm; rewards and weights: {weights}.", split=config.split,
        rows=len(rows), sources=", ".join(f"{k} ({n})" for k, n in Counter(r["source"] for r in rows).items()),
        tasks=", ".join(config.tasks), max_pixels=max_pixels, steps=trainer.state.global_step,
        loss=f"{losses[-1]:.4f}" if losses else "not logged", parameters=training.describe_parameters(trainer.model),
    )  # fmt: skip
    resume.finish(Path(config.out))


def main() -> None:
    config = configs.load(Config, __doc__)
    try:
        run(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from None


if __name__ == "__main__":
    main()
