"""What every route gets: one object that holds the service together."""

from dataclasses import dataclass, field

from facevlm.serve.counters import Counters
from facevlm.serve.engines.upstream import Upstream
from facevlm.serve.keys import KeyRing
from facevlm.serve.notice import Policy
from facevlm.serve.pictures import Pictures
from facevlm.serve.settings import Config


@dataclass
class Gateway:
    """One service; a route finds it as `request.app.state.gateway`."""

    settings: Config
    upstream: Upstream
    """The engines: `await upstream.chat(model, body)`."""
    pictures: Pictures
    """From what a client sent to pixels, and from pixels to what an engine takes."""
    counters: Counters = field(default_factory=Counters)
    keys: KeyRing | None = None
    """None = nobody is asked for a key."""

    def __post_init__(self) -> None:
        self.policy = Policy(self.settings)
