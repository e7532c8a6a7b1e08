"""Lists of host names in the config: by which the service goes, and from which it may fetch."""

from collections.abc import Iterable


def fits(name: str, allowed: Iterable[str]) -> bool:
    """Whether a host name is one of some names, or below one that begins with "*."."""
    return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed)
