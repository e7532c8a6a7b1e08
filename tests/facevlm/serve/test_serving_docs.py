"""docs/serving.md says what the code does."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from facevlm.serve.notice import SETTINGS
from facevlm.serve.settings import Config

TEXT = (Path(__file__).parents[3] / "docs/serving.md").read_text()
KEYS = {field.name: field.default for field in dataclasses.fields(Config)}


def test_limits_are_the_defaults() -> None:
    table = TEXT.partition("## Limits")[2].partition("\n## ")[0]
    said = {name: float(value) for name, value in re.findall(r"`(\w+)=([\d.]+)`", table)}
    assert len(said) > 15
    assert said == {name: KEYS[name] for name in said}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+)=[^`]*`", TEXT))))
def test_keys_are_there(name: str) -> None:
    assert name in KEYS


def test_settings_are_those_of_the_policy() -> None:
    (listed,) = re.findall(r"header `X-Setting` \(([^)]*)\)", TEXT)
    assert re.findall(r"`(\w+)`", listed) == list(SETTINGS)


def test_replies_are_json() -> None:
    replies = [block for block in re.findall(r"^```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL) if block[0] == "{"]
    assert len(replies) >= 3
    for reply in replies:
        rest = reply.strip()
        while rest:
            rest = rest[json.JSONDecoder().raw_decode(rest)[1] :].strip()
