"""The page before the real gateway, whose engine alone is a fake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facevlm.serve import keys


def test_the_page_is_open_and_the_api_behind_it_is_not(service: Callable[..., Any], tmp_path: Path) -> None:
    file = str(tmp_path / "keys")
    keys.make(keys.Config("lab", file))
    client = service(auth=True, keys=file)
    page = client.get("/")
    assert page.status_code == 200 and "script-src 'self';" in page.headers["content-security-policy"]
    assert client.get("/page/main.js").status_code == client.get("/page/server.json").status_code == 200
    assert client.get("/page/nothing.js").status_code == 404
    assert client.get("/v1/models").status_code == 401


@pytest.mark.slow
def test_the_page_reads_what_the_gateway_answers(service: Callable[..., Any], face_file: Callable[..., Path],
                                                 open_page: Callable[..., Any]) -> None:  # fmt: skip
    client = service(detector="whole")
    page = open_page(str(client.base_url))
    page.set_input_files("#file", face_file())
    page.wait_for_selector(".answer")
    assert page.text_content(".word") == "happiness"
    page.hover(".units [data-au='12']")
    assert "The lip corners are up (AU12)." in page.inner_text("#readout")
    assert "average face" in page.inner_text(".units")
    page.select_option("#setting", "workplace")
    page.wait_for_selector("#problem:not([hidden])")
    assert "EU AI Act" in page.text_content("#problem")
