"""Make a key for the gateway: python -m facevlm.serve.keys --name lab-a --file keys.txt

The key is shown once; the file keeps its name and SHA-256 alone, one "name:hash" a line, "#" before a comment. Taking
a line out takes the key back, without a restart. The same lines, parted by spaces or commas, can stand in the
environment variable FACEVLM_KEYS.
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facevlm import config as configs
from facevlm.config import ConfigError, doc
from facevlm.record import whole_file

VARIABLE = "FACEVLM_KEYS"
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([0-9a-f]{64})")
_LOOK_SECONDS = 5.0  # how soon a key that is taken out of the file stops working


def digest(key: str) -> str:
    """What is kept of a key. One fast hash is enough, for a key holds 256 random bits: nobody can go through them."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def read_lines(text: str, where: str) -> dict[str, str]:
    """Hash -> name.

    Raises:
        ConfigError: a line that is not "name:hash", or a name or hash that stands twice.
    """
    lines = [line.partition("#")[0] for line in text.splitlines()]
    found: dict[str, str] = {}
    for number, item in enumerate(re.split(r"[\s,]+", "\n".join(lines).strip()), 1):
        if not item:
            continue
        match = _LINE.fullmatch(item)
        if match is None:
            # The item itself is not shown: somebody may have put the key where its hash belongs.
            raise ConfigError(f"{where}: entry {number} is not name:sha256; make one with facevlm.serve.keys")
        if match[2] in found or match[1] in found.values():
            raise ConfigError(f"{where}: {match[1]} stands twice")
        found[match[2]] = match[1]
    return found


class KeyRing:
    """The keys that open the gateway, read anew when their file changes."""

    def __init__(self, file: str | None, environment: Mapping[str, str] = os.environ) -> None:
        """
        Raises:
            ConfigError: the file cannot be read or has a faulty line, or there is no key at all.
        """
        self._file = None if file is None else Path(file).expanduser()
        self._fixed = read_lines(environment.get(VARIABLE, ""), VARIABLE)
        self._seen: tuple[int, int] | None = None
        self._looked = 0.0
        self._keys: dict[str, str] = {}
        self._load()
        if not self._keys:
            raise ConfigError("keys are asked for and there is none: make one by `python -m facevlm.serve.keys --name "
                              f"me --file keys.txt` and give keys=keys.txt, or set {VARIABLE}")  # fmt: skip

    def _load(self) -> None:
        if self._file is None:
            self._keys = self._fixed
            return
        try:
            stat = self._file.stat()
            if (stat.st_mtime_ns, stat.st_size) != self._seen:
                self._keys = self._fixed | read_lines(self._file.read_text("utf-8"), str(self._file))
                self._seen = stat.st_mtime_ns, stat.st_size
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(f"keys: {self._file} cannot be read: {e}") from e

    def name(self, key: str) -> str | None:
        """Whose key it is; None if it opens nothing. Looking a hash up tells no timing of the key itself.

        Raises:
            ConfigError: the file has changed and is faulty: better no service than keys that were taken back.
        """
        if self._file is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._load()
            self._looked = time.monotonic()
        return self._keys.get(digest(key))


@dataclass(frozen=True)
class Config:
    name: str = doc("whose key it is: letters, digits, dots and dashes; shown in metrics and logs")
    file: str = doc("file of keys to add it to, made if there is none", default="keys.txt")


def make(config: Config) -> str:
    """Add a new key to a file, readable by its owner alone; returns the key, which is nowhere else.

    Raises:
        ConfigError: the name is none or is taken, or the file is faulty.
    """
    path = Path(config.file).expanduser()
    before = path.read_text("utf-8") if path.is_file() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    key = f"fv-{secrets.token_urlsafe(32)}"
    text = before + f"{config.name}:{digest(key)}\n"
    read_lines(text, config.file)
    with whole_file(path) as draft:
        draft.write_text(text, "utf-8")
        draft.chmod(0o600)
    return key


def main() -> None:
    config = configs.load(Config, __doc__)
    try:
        key = make(config)
    except (ConfigError, OSError) as e:
        raise SystemExit(f"error: {e}") from None
    print(f"{key}\nThis key of {config.name} is shown once; {config.file} holds its hash.")


if __name__ == "__main__":
    main()
