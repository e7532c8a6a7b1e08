"""JSON files of instruction data: arrays or lines of objects, read one by one, and the conversations inside, in the
form that LLaVA brought into use: {"id", "image", "conversations": [{"from": "human", "value"}, {"from": "gpt", …}]}.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from data_builders.reading.cells import BadRow
from facevlm.config import ConfigError
from facevlm.record import Drop

Object = dict[str, Any]

_CHUNK = 1 << 20
_LARGEST = 1 << 26
"""Characters of an object; beyond them the file is taken as torn."""


def objects(path: Path) -> Iterator[Object | Drop]:
    """The objects of a JSON array or of JSON lines, one after another, so that a file of any size fits into memory.
    Where the file is torn the rest is a single Drop.

    Raises:
        ConfigError: no such file, or not text in UTF-8.
    """
    try:
        # utf-8-sig: Windows tools put a byte order mark first.
        with path.open(encoding="utf-8-sig") as file:
            for number, item in enumerate(_items(file), 1):
                if isinstance(item, dict):
                    yield item
                else:
                    what = str(item) if isinstance(item, _Torn) else f"a {type(item).__name__}, not an object"
                    yield Drop(f"{path.name} object {number}", "bad row", what)
    except OSError as e:
        raise ConfigError(f"cannot read label file {path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"label file {path} is not UTF-8 text ({e.reason})") from e


class _Torn(str):
    """What stands in place of the rest of a file that is not JSON."""


def _items(file: TextIO) -> Iterator[Any]:
    decode, text, ended = json.JSONDecoder().raw_decode, file.read(_CHUNK), False
    while text.isspace():
        text = file.read(_CHUNK)
    at = len(text) - len(text.lstrip())
    array = text[at : at + 1] == "["
    at += array
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if array and text[at : at + 1] == "]":
            return
        if at < len(text):
            try:
                value, end = decode(text, at)
                # A number at the end of what was read could go on: 12 of 123.
                if isinstance(value, dict) or end < len(text) or ended:
                    yield value
                    at = end
                    continue
            except json.JSONDecodeError as e:
                if ended or len(text) - at > _LARGEST:
                    yield _Torn(f"not JSON from here on ({e.msg}): {text[at : at + 60]!r}")
                    return
        elif ended:
            if array:
                yield _Torn("the array has no end: the file is cut off")
            return
        # Twice as much each time: an object over many chunks is not tried at each of them.
        more = file.read(max(_CHUNK, len(text) - at))
        text, at, ended = text[at:] + more, 0, not more


def picture(item: Object) -> str:
    """The picture or video of an object, with forward slashes.

    Raises:
        BadRow: none, or several.
    """
    given = item.get("image") or item.get("video")
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, str) or not given.strip():
        raise BadRow("no media", f"it names {given!r}; one picture or video is wanted")
    return given.strip().replace("\\", "/").lstrip("/").removeprefix("./")


def answer(item: Object) -> str:
    """What the model is to say: the answer of a conversation, of several the first.

    Raises:
        BadRow: there is none.
    """
    turns = item.get("conversations") or item.get("conversation")
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, Mapping) and str(turn.get("from", turn.get("role"))).lower() in ("gpt", "assistant"):
            text = str(turn.get("value") or turn.get("content") or "").strip()
            if text:
                return text
    raise BadRow("no answer", "no turn of gpt says anything")
