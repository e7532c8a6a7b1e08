"""What visitors do on the page, in a real Chromium."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
Opens = Callable[..., Any]
Files = Callable[..., Path]

DROP = """([data, kind, files = 1]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  for (let i = 0; i < files; i++) transfer.items.add(new File([bytes], "a", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: transfer })
    : new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
}"""


def read(page: Any, file: Path) -> None:
    """Choose a file and wait for the answer; that to the one before stays until this one is read."""
    with page.expect_response("**/v1/faces/analyze"):
        page.set_input_files("#file", file)
    page.wait_for_selector(".answer")


def until(page: Any, expression: str) -> None:
    """Wait until some JavaScript is true. Playwright's own way needs eval, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def numbers(page: Any, of: str = "#overlay .region") -> list[int]:
    return [int(a) for a in page.locator(of).evaluate_all("all => all.map(e => e.dataset.au)")]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(open_page: Opens, face_file: Files, kind: str) -> None:
    page = open_page()
    page.evaluate(DROP, [base64.b64encode(face_file().read_bytes()).decode(), kind])
    page.wait_for_selector(".answer")
    assert numbers(page) == [6, 12, 25]
    assert "The first of" not in page.text_content("#said")


def test_of_several_files_the_first_is_read_and_that_is_told(open_page: Opens, face_file: Files, server: Any) -> None:
    page = open_page()
    page.evaluate(DROP, [base64.b64encode(face_file().read_bytes()).decode(), "drop", 3])
    page.wait_for_selector(".answer")
    assert "The first of 3 files is read here" in page.text_content("#said") and len(server.asked) == 1


def test_the_camera_gives_a_still_and_is_let_go(open_page: Opens, server: Any) -> None:
    page = open_page(permissions=["camera"])
    page.click("#camera")
    page.wait_for_selector("#take:not([disabled])")
    track = page.evaluate_handle("document.querySelector('#video').srcObject.getTracks()[0]")
    page.click("#take")
    page.wait_for_selector(".answer, #problem:not([hidden])")
    assert track.evaluate("t => t.readyState") == "ended"
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    assert server.asked[0]["size"][0] >= 320
    page.click("#camera")
    page.wait_for_selector("#take:not([disabled])")
    track = page.evaluate_handle("document.querySelector('#video').srcObject.getTracks()[0]")
    page.keyboard.press("Escape")
    assert track.evaluate("t => t.readyState") == "ended"


def test_a_camera_that_is_refused_is_told_in_a_sentence(open_page: Opens) -> None:
    page = open_page()
    page.evaluate("""() => { navigator.mediaDevices.getUserMedia =
        () => Promise.reject(new DOMException("", "NotFoundError")); }""")
    page.click("#camera")
    page.wait_for_selector("#camera-problem:not([hidden])")
    assert "has no camera" in page.text_content("#camera-problem")


def test_a_region_on_the_face_leads_to_its_unit_and_back(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    read(page, face_file())
    for au in (6, 12):
        box = page.locator(f"#overlay [data-au='{au}'] .line").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert numbers(page, ".on.region") == [au]
        assert numbers(page, ".units .on") == [au] == numbers(page, ".mention.on")
    page.hover(".mention[data-au='25']")
    assert numbers(page, ".on.region") == [25]
    page.click(".units [data-au='6']")
    page.hover("h1")
    assert numbers(page, ".on.region") == [6]  # kept
    page.keyboard.press("Escape")
    assert numbers(page, ".on.region") == []


def test_clicks_go_through_regions_that_lie_over_one_another(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    read(page, face_file())
    box = page.locator("#overlay [data-au='12'] .line").first.bounding_box()
    corner = (box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)  # AU25 lies around it
    kept = []
    for _ in range(2):
        page.mouse.click(*corner)
        kept.append(numbers(page, ".units [aria-pressed=true]"))
    assert sorted(kept) == [[12], [25]]


def test_modes_are_asked_for_once_each(open_page: Opens, face_file: Files, server: Any) -> None:
    page = open_page()
    read(page, face_file())
    page.get_by_label("Fast").check()
    page.wait_for_selector(".reasoning", state="detached")
    assert page.locator(".units").count() == 1
    page.get_by_label("Label").check()
    page.wait_for_selector(".units", state="detached")
    page.get_by_label("Explain").check()
    page.wait_for_selector(".reasoning")
    assert [ask["mode"] for ask in server.asked] == ["explain", "fast", "label"]


def test_two_models_stand_side_by_side(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    read(page, face_file())
    page.select_option("#other", "base")
    page.wait_for_selector(".agreement")
    assert page.locator(".answer .model").all_text_contents() == ["A: grpo", "B: base"]
    said = dict(zip(page.locator(".agreement dt").all_text_contents(),
                    page.locator(".agreement dd").all_text_contents(), strict=True))  # fmt: skip
    assert said == {"Emotion": "A says happiness, B says contempt", "AUs of both": "AU12, AU25", "Only A": "AU6",
                    "Only B": "AU14"}  # fmt: skip
    left, right = (page.locator(".answer").nth(i).bounding_box() for i in (0, 1))
    assert left["x"] + left["width"] <= right["x"] and left["y"] == right["y"]
    assert "named by model B only" in page.locator("#overlay [data-au='14']").get_attribute("aria-label")


def test_faces_are_chosen_on_the_picture_and_beside_it(open_page: Opens, face_file: Files) -> None:
    page = open_page()
    read(page, face_file(3, backdrop=60))
    assert "3 faces" in page.text_content("#said")
    page.locator("#overlay [data-face='2']").click(force=True)
    assert page.text_content(".word") == "anger" and numbers(page) == [4, 7, 23]
    assert page.locator("#zoom").get_attribute("aria-pressed") == "true"  # it is small
    assert page.locator("#overlay .face.chosen .line").bounding_box()["width"] > 150
    page.click("#zoom")
    assert page.locator("#overlay .face.chosen .line").bounding_box()["width"] < 150
    page.locator("#faces input").nth(1).check(force=True)
    assert page.text_content(".word") == "surprise" and numbers(page) == [1, 2, 5, 26]


def test_the_key_is_asked_for_kept_for_the_tab_and_forgotten(open_page: Opens, face_file: Files, server: Any) -> None:
    server.key = "open sesame"
    page = open_page()
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-field", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#problem:not([hidden])")
    page.wait_for_selector("#key-dialog[open]")
    assert "does not take this API key" in page.text_content("#problem")
    page.fill("#key-field", "open sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#model option", state="attached")
    assert page.locator("#problem").is_hidden()
    read(page, face_file())
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    assert "sesame" not in page.content()
    page.click("#key")
    page.click("#key-forget")
    until(page, "sessionStorage.length === 0")


@pytest.mark.parametrize(("status", "said", "shown"), [
    (429, "too many", "Try again in 7 s."), (503, "no engine runs", "The model is not ready."),
    (400, "a mode is one of three", "A mode is one of three."), (413, "too long", "larger than this server takes"),
    (403, "not in schools", "Not in schools."),
])  # fmt: skip
def test_refusals_are_sentences_and_can_be_tried_again(open_page: Opens, face_file: Files, server: Any, status: int,
                                                       said: str, shown: str) -> None:  # fmt: skip
    server.fail = (status, said)
    page = open_page()
    page.set_input_files("#file", face_file())
    page.wait_for_selector("#problem:not([hidden])")
    assert shown in page.text_content("#problem")
    server.fail = None
    page.click("#again")
    page.wait_for_selector(".answer")
    assert page.locator("#problem").is_hidden()


def test_a_file_that_is_no_picture_is_told(open_page: Opens, tmp_path: Path, server: Any) -> None:
    page = open_page()
    (tmp_path / "a.png").write_bytes(b"no picture")
    page.set_input_files("#file", tmp_path / "a.png")
    page.wait_for_selector("#problem:not([hidden])")
    assert "cannot read this file" in page.text_content("#problem") and server.asked == []


def test_a_long_reading_can_be_cancelled(open_page: Opens, face_file: Files, server: Any) -> None:
    server.wait = 2.5
    page = open_page()
    page.set_input_files("#file", face_file())
    page.wait_for_selector("#said:has-text('… 1 s')")
    page.click("#cancel")
    page.wait_for_selector("#said:has-text('Cancelled.')")
    server.wait = 0
    page.click("#again")
    page.wait_for_selector(".answer")


def test_a_picture_over_the_limit_is_shrunk_and_another_format_turned_into_jpeg(
        open_page: Opens, tmp_path: Path, server: Any) -> None:  # fmt: skip
    page = open_page()
    Image.new("RGB", (3000, 1500), (128, 132, 138)).save(tmp_path / "large.jpg")
    Image.new("RGB", (300, 150), (128, 132, 138)).save(tmp_path / "a.gif")
    for name in ("large.jpg", "a.gif"):
        read(page, tmp_path / name)
    large, gif = server.asked
    assert large["size"][0] * large["size"][1] <= 1_000_000 and large["size"][0] == 2 * large["size"][1] == 1414
    assert gif["size"] == (300, 150) and gif["images"][0]["image"].startswith("data:image/jpeg")
    assert "No face" in page.text_content("#said") and "No answer: no face" in page.text_content("#result")


def test_a_turned_photograph_lies_under_its_boxes(open_page: Opens, face_file: Files, tmp_path: Path) -> None:
    upright = Image.open(face_file(2)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # the sensor's top is at the right
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    page = open_page()
    read(page, tmp_path / "turned.jpg")
    stage = page.locator("#canvas").bounding_box()
    assert stage["width"] == pytest.approx(2 * stage["height"], abs=2)
    image = Image.open(io.BytesIO(page.locator("#canvas").screenshot()))
    box = page.locator("#overlay [data-face='0'] .line").bounding_box()
    forehead = image.convert("RGB").getpixel((int(box["x"] - stage["x"] + box["width"] / 2),
                                              int(box["y"] - stage["y"] + box["height"] * 0.13)))  # fmt: skip
    assert isinstance(forehead, tuple) and forehead[0] > forehead[2] + 20  # skin, not the bluish ground


def test_abstention_and_faults_come_with_their_reasons(open_page: Opens, face_file: Files, server: Any) -> None:
    server.change = lambda face: face.update(
        abstained={"reason": "unsure", "message": "The likeliest has 41 %."}, emotion=None, probabilities=None,
        aus=None, faults=["'AUx' is not an AU"])  # fmt: skip
    page = open_page()
    read(page, face_file())
    assert page.text_content(".caution") == "No answer: unsure. The likeliest has 41 %."
    assert "'AUx' is not an AU" in page.text_content(".faults")
    assert "No readable list." in page.text_content(".units")


def test_what_a_model_says_is_never_markup(open_page: Opens, face_file: Files, server: Any) -> None:
    evil = "<img src=x onerror='window.hurt=1'><b>AU12</b> &lt; </p><script>window.hurt=1</script>"

    def change(face: dict[str, Any]) -> None:
        face.update(reasoning=evil, emotion=evil, faults=[evil], text=evil, probabilities={evil: 1.0})
        face["aus"][0].update(name=evil, said=evil, muscle=evil, region=evil)

    server.change = change
    page = open_page()
    read(page, face_file())
    page.hover(".units [data-au='6']")
    assert page.text_content(".reasoning p") == evil and page.text_content(".word") == evil
    assert page.evaluate("window.hurt") is None and page.locator("#result img, #result b").count() == 0


def test_the_json_is_the_reply_and_can_be_copied(open_page: Opens, face_file: Files) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    read(page, face_file())
    page.click(".json summary")
    page.click("text=Copy")
    page.wait_for_selector("text=Copied.")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["object"] == "face.analysis" and copied["images"][0]["faces"][0]["emotion"] == "happiness"
    page.click("text=Select all")
    assert json.loads(page.evaluate("getSelection().toString()")) == copied


def test_the_setting_goes_with_the_request(open_page: Opens, face_file: Files, server: Any) -> None:
    page = open_page()
    read(page, face_file())
    page.select_option("#setting", "research")
    page.wait_for_selector("#bench[aria-busy=false]")
    assert [ask["setting"] for ask in server.asked] == [None, "research"]
