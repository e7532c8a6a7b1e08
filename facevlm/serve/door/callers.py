"""Who is calling, and how much of it: a token bucket and a count of requests under way for each key."""

import time
from collections.abc import Callable

from facevlm.serve.faults import ApiError


class Caller:
    """One key's share of the service."""

    def __init__(self, name: str, per_minute: float | None, burst: int, at_once: int,
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        """
        Args:
            per_minute: requests it may send for long; None = as many as it likes, as on loopback without keys.
            burst: requests it may send at once beyond that.
            at_once: requests under way.
        """
        self.name, self.under_way = name, 0
        self._rate = None if per_minute is None else per_minute / 60
        self._burst, self._at_once, self._clock = float(burst), at_once, clock
        self._left, self._seen = self._burst, clock()

    def charge(self, requests: int = 1) -> None:
        """Take from the bucket; more than it can ever hold is taken when it is full, and paid off afterwards.

        Raises:
            ApiError: 429, the key has to wait.
        """
        if self._rate is None:
            return
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        needed = min(float(requests), self._burst)
        if self._left < needed:
            raise ApiError(429, f"this key may send {self._rate * 60:g} requests a minute; wait",
                           "rate_limit_exceeded", retry_after=(needed - self._left) / self._rate)  # fmt: skip
        self._left -= requests

    def enter(self) -> None:
        """One more request under way; `leave` ends it.

        Raises:
            ApiError: 429, there are too many already.
        """
        if self._rate is not None and self.under_way >= self._at_once:
            raise ApiError(429, f"this key has {self._at_once} requests under way, which is all it may; wait for one",
                           "concurrency_limit_exceeded", retry_after=1)  # fmt: skip
        self.under_way += 1

    def leave(self) -> None:
        self.under_way -= 1
