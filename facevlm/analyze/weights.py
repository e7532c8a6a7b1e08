"""A short name for a model's weights, by what is in the files and not where or when they were saved."""

import hashlib
from pathlib import Path

from facevlm.checkpoint import adapter_of, resolve

_WHOLE = 8 * 2**20
_SAMPLES, _SAMPLE = 64, 2**16
"""Of a longer file, 64 pieces of 64 KiB spread evenly are read, the first and the last among them: training moves all
weights, and reading tens of gigabytes at each start would cost minutes."""
_KEPT = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")


def digest(model: str) -> str | None:
    """SHA-256 over a model's files and, for an adapter, those of its base; None for a name on the Hub.

    Raises:
        facevlm.checkpoint.ModelError: there is no such model.
    """
    path = resolve(model)
    base, adapter = adapter_of(path)
    folders = [Path(part) for part in ([adapter.path] if adapter else []) + [base]]
    if not all(folder.is_dir() for folder in folders):
        return None
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in _KEPT):
            found.update(f"{file.name}:{file.stat().st_size}:".encode())
            _feed(found, file)
    return found.hexdigest()


def _feed(found: "hashlib._Hash", file: Path) -> None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= _WHOLE:
            found.update(stream.read())
            return
        for i in range(_SAMPLES):
            stream.seek((size - _SAMPLE) * i // (_SAMPLES - 1))
            found.update(stream.read(_SAMPLE))
