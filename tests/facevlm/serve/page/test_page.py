"""The page's files as they are served, and one short visit by a browser; test_visits.py holds the long ones."""

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from facevlm.serve.page import FILES, facts
from facevlm.serve.settings import Config


def get(url: str, **options: Any) -> httpx.Response:
    """GET past any proxy of the environment."""
    return httpx.get(url, trust_env=False, **options)


def test_every_file_is_served_and_no_other(server: Any) -> None:
    folder = files("facevlm.serve") / "page"
    assert {f.name for f in folder.iterdir()} == FILES.keys()
    for name, media_type in FILES.items():
        reply = get(f"{server.url}/page/{name}")
        assert reply.headers["content-type"] == media_type
        assert reply.content == (folder / name).read_bytes()
    assert get(server.url).content == (folder / "index.html").read_bytes()
    for name in ("page.py", "../page.py", "%2e%2e/page.py", "..%2fpage.py", ""):
        assert get(f"{server.url}/page/{name}").status_code == 404, name


def test_a_browser_that_has_a_file_is_not_sent_it_again(server: Any) -> None:
    first = get(f"{server.url}/page/main.js")
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
        again = get(f"{server.url}/page/main.js", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert get(f"{server.url}/page/main.js", headers={"If-None-Match": '"other"'}).status_code == 200
    assert "no-cache" in first.headers["cache-control"]


def test_the_policy_lets_only_own_files_in(server: Any) -> None:
    reply = get(server.url)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy and "http" not in policy
    for name in FILES:
        text = (files("facevlm.serve") / "page" / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), name
        assert not re.search(r"(?:src|href|url|import|fetch)\W{1,3}(?:https?:)?//", text), name
    page = reply.text
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]* src=)", page)


def test_a_picture_of_the_largest_size_fits_into_a_request() -> None:
    for config in (Config(), Config(max_body_mb=4.0), Config(max_image_mb=1.5)):
        largest = facts(config)["max_bytes"]
        assert isinstance(largest, int)
        assert largest <= config.max_image_mb * 2**20
        assert 4 * -(-largest // 3) + 4096 < config.max_body_mb * 2**20


def test_a_picture_is_read_and_its_units_are_shown(open_page: Callable[..., Any], face_file: Callable[..., Path],
                                                   server: Any) -> None:  # fmt: skip
    page = open_page()
    page.set_input_files("#file", face_file())
    page.wait_for_selector(".answer")
    assert page.text_content(".word") == "happiness"
    assert page.locator(".units .number").all_text_contents() == ["AU6", "AU12", "AU25"]
    assert "Not calibrated" in page.text_content(".emotion")
    page.hover(".units [data-au='12']")
    assert page.locator("#overlay .region.on").get_attribute("aria-label") == "AU12 lip corner puller, mouth corners"
    assert "zygomaticus major" in page.text_content("#readout")
    assert "The lip corner puller (AU12) shows" in page.text_content("#readout")
    assert server.asked[0]["mode"] == "explain" and server.asked[0]["size"] == (320, 320)
