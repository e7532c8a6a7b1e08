"""Which rewards a run takes: those that can judge what its tasks ask for, and that give gold answers full marks."""

import math
from collections.abc import Callable, Collection
from typing import Any

from facevlm.answer import Kind
from facevlm.config import ConfigError
from facevlm.tasks import TASKS, Task
from rl.guard import scored
from rl.rewards import DEFAULT
from rl.rewards.judge import Judge

Reward = Callable[..., list[float | None]]

CONTENT: dict[Kind, str] = {
    "label": "emotion", "choice": "choice", "yes/no": "choice", "number": "number", "pair": "valence_arousal",
    "words": "open_vocabulary", "shares": "soft_label",
}  # fmt: skip
"""Which reward judges what <answer> holds; words to choose from have one of their own, and texts have none."""


def default_mix(tasks: Collection[str]) -> dict[str, float]:
    """Weight by name of the rewards for some tasks: of `rl.rewards.DEFAULT` those that apply to any of them, and 1 for
    each other reward that judges what they ask for.

    Raises:
        ConfigError: naming the tasks whose answers no reward of the shelf can judge.
    """
    judged = {name: _content(TASKS[name]) for name in tasks}
    if mute := [name for name, rewards in judged.items() if not rewards]:
        raise ConfigError(f"no reward of docs/rewards.md judges the answers of task {', '.join(mute)}: "
                          "name rewards of your own (package.module:function) in `rewards`")  # fmt: skip
    asked = [set(TASKS[name].parts) for name in tasks]
    wanted = dict.fromkeys(reward for rewards in judged.values() for reward in rewards)
    wanted["format"] = None
    if any({"think", "au"} & parts or TASKS[name].form.kind == "words"
           for name, parts in zip(tasks, asked, strict=True)):  # fmt: skip
        wanted["brevity"] = None
    if any({"think", "au"} <= parts for parts in asked):
        wanted["consistency"] = None
    ranked = [*(name for name in DEFAULT if name in wanted), *(name for name in wanted if name not in DEFAULT)]
    return {name: DEFAULT.get(name, 1.0) for name in ranked}


def _content(task: Task) -> list[str]:
    """The rewards that judge what is said, not how."""
    rewards = []
    if "answer" in task.parts and task.form.kind in CONTENT:
        rewards.append("attributes" if task is TASKS["attributes"] else CONTENT[task.form.kind])
    if "au" in task.parts:
        rewards.append("au_intensity" if task.form.letters else "au_f1")
    if task.form.boxes:
        rewards.append("grounding")
    return rewards


def gold_check(rewards: dict[str, Reward], rows: list[dict[str, Any]]) -> list[str]:
    """Every reward must give every gold answer full marks or abstain.

    Returns:
        The rewards that apply to none of the rows.

    Raises:
        ConfigError: a reward that fails, or one that denies the gold answer full marks, with the row's id.
    """
    idle = []
    columns = {
        key: [row[key] for row in rows] for key in rows[0] if key not in ("prompt", "completion", "images", "boxes")
    }
    for name, reward in rewards.items():
        try:
            scores = scored(reward, completions=[row["completion"] for row in rows],
                            prompts=[row["prompt"] for row in rows], **columns)  # fmt: skip
        except Exception as e:  # whatever a reward may raise
            raise ConfigError(f"reward {name} fails on the gold answers: {type(e).__name__}: {e}") from e
        if all(score is None for score in scores):
            idle.append(name)
        for row, score in zip(rows, scores, strict=True):
            if score is not None and not 1 <= score < math.inf:
                raise ConfigError(f"reward {name} gives the gold answer of {row['record_id']} only {score}: "
                                  f"{row['completion'][0]['content']}")  # fmt: skip
    return idle


def leave_idle(weights: dict[str, float], rewards: dict[str, Reward], rows: list[dict[str, Any]],
               named: bool) -> dict[str, float]:  # fmt: skip
    """The weights without rewards that apply to no row; the gold check.

    Args:
        named: the config names the rewards, so that one which never applies is a mistake.

    Raises:
        ConfigError: see `gold_check`; a named reward that never applies.
    """
    # What is only logged may be a penalty, which a gold answer need not reach 1 in.
    # A judge has no right answers, and is asked for money.
    idle = gold_check({name: rewards[name] for name, weight in weights.items()
                       if weight and not isinstance(rewards[name], Judge)}, rows)  # fmt: skip
    if idle and named:
        raise ConfigError(f"reward {', '.join(idle)} applies to none of the {len(rows)} rows: no record has such "
                          "labels, or no task asks for them. Take it out of `rewards`")  # fmt: skip
    for name in idle:
        print(f"reward {name} is left out of the default mix: it applies to none of the {len(rows)} rows")
    return {name: weight for name, weight in weights.items() if name not in idle}
