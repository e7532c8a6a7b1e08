"""The rewards by name. Each is TRL's own contract: a batch function, a number per completion, None = does not apply.

Whether a reward applies depends on the record alone, never on the completion: then all completions of one prompt
abstain together and the comparison within the group stays fair. An unreadable answer scores 0, it does not abstain.
"""

from collections.abc import Callable

from rl.rewards.au import au_f1
from rl.rewards.emotion import emotion
from rl.rewards.format import answer_format

REWARDS: dict[str, Callable[..., list[float | None]]] = {"format": answer_format, "emotion": emotion, "au_f1": au_f1}
