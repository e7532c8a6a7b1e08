"""A served model's tokenizer, without the libraries that train: which tokens an answer may be made of."""

import logging
from collections.abc import Callable
from pathlib import Path

from facevlm.checkpoint import ModelError, adapter_of, folder, resolve

log = logging.getLogger(__name__)

_FILE = "tokenizer.json"

Tokenize = Callable[[str], list[int]]


def tokenizer(root: str) -> Tokenize | None:
    """Text -> tokens, none of them special, as the engine writes them; None where no tokenizer.json is to be had.

    Args:
        root: folder, adapter folder, Hub name or tiny; of a Hub name, the copy that the engine has fetched.
    """
    file = _file(root)
    if file is None:
        log.warning("%s: no %s to be had, so answers come without probabilities", root, _FILE)
        return None
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(file))
    return lambda text: list(found.encode(text, add_special_tokens=False).ids)


def _file(root: str) -> Path | None:
    try:
        resolve(root)
    except ModelError:
        return None  # an engine elsewhere names a folder of its own machine
    if (own := folder(root) / _FILE).is_file():
        return own
    try:
        base = adapter_of(resolve(root))[0]
    except (ModelError, OSError, ValueError, KeyError):
        return None
    if (file := folder(base) / _FILE).is_file():
        return file
    return None if folder(base).is_dir() else _fetched(base)


def _fetched(name: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(name, _FILE)
    return Path(found) if isinstance(found, str) else None
