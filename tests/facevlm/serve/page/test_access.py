"""The page for those who use a keyboard, a screen reader, a phone, dark colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Opens = Callable[..., Any]
Files = Callable[..., Path]


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script."""
    package = pytest.importorskip("axe_core_python")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


def faults(page: Any, axe: str) -> list[str]:
    """What axe-core finds against WCAG 2.1 AA and its own best practices, with the elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']]}" for fault in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Opens, face_file: Files, axe: str, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    assert faults(page, axe) == []
    page.set_input_files("#file", face_file(2))
    page.wait_for_selector(".answer")
    page.select_option("#other", "base")
    page.wait_for_selector(".agreement")
    page.click(".units [data-au='12'] >> nth=0")
    for summary in page.locator("summary").all():
        summary.click()
    assert faults(page, axe) == []
    for opener, dialog in (("#key", "#key-dialog"), ("#camera", "#camera-dialog")):
        page.click(opener)
        page.wait_for_selector(f"{dialog}[open]")
        assert faults(page, axe) == []
        page.keyboard.press("Escape")


def test_axe_finds_nothing_in_a_refusal_or_an_abstention(open_page: Opens, face_file: Files, server: Any,
                                                         axe: str) -> None:  # fmt: skip
    server.change = lambda face: face.update(abstained={"reason": "unsure", "message": "41 %."}, faults=["a fault"])
    page = open_page(color_scheme="dark")
    page.set_input_files("#file", face_file())
    page.wait_for_selector(".caution")
    assert faults(page, axe) == []
    server.fail = (503, "no engine")
    page.get_by_label("Fast").check()
    page.wait_for_selector("#problem:not([hidden])")
    assert faults(page, axe) == []


def focused(page: Any) -> str:
    """The element with the focus: its id, its kind and AU, or its text."""
    return page.evaluate("""() => { const e = document.activeElement;
        const kind = { BUTTON: "unit", SPAN: "mention", g: "region" }[e.tagName];
        return e.id || (e.dataset.au ? `${kind} ${e.dataset.au}` : null)
            || e.name || e.textContent.trim().slice(0, 30); }""")


def visible(page: Any) -> bool:
    """Whether the focus can be seen: an outline on the element, or on what stands for it."""
    return page.evaluate("""() => { const e = document.activeElement;
        const all = [e, e.nextElementSibling, e.previousElementSibling, e.parentElement?.querySelector("span")];
        const drawn = (x) => getComputedStyle(x).outlineStyle !== "none" && getComputedStyle(x).outlineWidth !== "0px";
        const halo = e.querySelector(".halo");
        return all.filter(Boolean).some(drawn) || (halo && getComputedStyle(halo).strokeWidth === "8px"); }""")


def test_all_of_it_works_by_keyboard_and_shows_where_one_is(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    page.set_input_files("#file", face_file(2))
    page.wait_for_selector(".answer")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        if stops[-1] == "JSON":
            break
        assert visible(page), stops[-1]
    assert stops == ["Skip to the result", "key", "the terms", "file", "camera", "mode", "model", "other", "setting",
                     "region 6", "face", "regions", "unit 6", "unit 12", "unit 25", "mention 6", "mention 12",
                     "mention 25", "How it was made", "JSON"]  # fmt: skip

    page.focus("#overlay [data-au='6']")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "region 12" and "AU12" in page.text_content("#readout")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == "region 25"
    page.keyboard.press("Enter")
    assert page.locator(".units [data-au='25']").get_attribute("aria-pressed") == "true"
    page.focus(".mention[data-au='6']")
    page.keyboard.press(" ")
    assert page.locator(".units [data-au='6']").get_attribute("aria-pressed") == "true"

    page.focus("#faces input:checked")
    page.keyboard.press("ArrowRight")
    assert page.text_content(".word") == "surprise"
    page.focus("[name=mode]:checked")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".reasoning", state="detached")
    assert focused(page) == "mode"


def test_a_screen_reader_is_told(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    page.set_input_files("#file", face_file())
    page.wait_for_selector(".answer")
    assert page.get_by_role("status").filter(has_text="1 face in").count() == 1
    picture = page.get_by_role("img").get_attribute("aria-label")
    assert picture == "The picture, 1 face in it. Face 1: happiness; action units: AU6, AU12, AU25"
    name = "AU12 lip corner puller zygomaticus major · mouth corners intensity C, marked confidence 90 %"
    assert page.get_by_role("button", name=name).count() == 1
    assert page.get_by_role("list", name="Probabilities").get_by_role("listitem").first.inner_text().startswith("happ")


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(open_page: Opens, face_file: Files, server: Any, width: int) -> None:
    server.change = lambda face: face.update(reasoning="x" * 400 + face["reasoning"], faults=["y" * 300])
    page = open_page(viewport={"width": width, "height": 800}, is_mobile=width < 700, has_touch=width < 700)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_input_files("#file", face_file(3))
    page.wait_for_selector(".answer")
    page.select_option("#other", "base")
    page.wait_for_selector(".agreement")
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.locator("main *").evaluate_all(
        "(all, w) => all.filter(e => e.getBoundingClientRect().right > w + 1).map(e => e.className)", width)
    assert [name for name in wide if name != "hidden"] == []


def test_a_finger_looks_at_a_unit_while_the_face_stays_in_sight(open_page: Opens, face_file: Files) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.set_input_files("#file", face_file())
    page.wait_for_selector(".answer")
    page.locator(".units [data-au='25']").tap()
    assert page.locator("#overlay .region.on").get_attribute("data-au") == "25"
    assert "The lips part (AU25)" in page.locator(".units [data-au='25']").inner_text()
    face = page.locator("#canvas").bounding_box()
    assert face["y"] >= 0 and face["y"] + face["height"] < page.locator(".units [data-au='25']").bounding_box()["y"]
