"""The order in which GRPO asks its questions, the same for a run that was stopped and went on.

TRL draws the order of each epoch from a generator that moves on by one draw an epoch. A run that goes on starts it
anew: without this, every epoch after the first would be trained in the order of an earlier one.
"""

from collections.abc import Callable, Iterator

from torch.utils.data import Sampler
from trl.trainer.utils import RepeatSampler


class EpochOrder(Sampler[int]):
    """TRL's sampler, drawn anew from its seed and the epoch's number."""

    def __init__(self, drawn: RepeatSampler, epoch: Callable[[], float | None]) -> None:
        """
        Args:
            epoch: how many epochs are done by now; None = none. Asked each time an order is drawn.
        """
        self.drawn, self.epoch = drawn, epoch

    def __iter__(self) -> Iterator[int]:
        if self.drawn.shuffle:
            self.drawn.generator.manual_seed(self.drawn.seed + int(self.epoch() or 0))
        return iter(self.drawn)

    def __len__(self) -> int:
        return len(self.drawn)
