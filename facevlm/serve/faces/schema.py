"""What the face API takes and gives, as the OpenAPI document shows it. Boxes and points are in pixels of the upright
picture, shares and probabilities within 0-1, valence and arousal within -1 to 1.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from facevlm.answer import Mode

Number = Annotated[float, Field(allow_inf_nan=False)]
Box = Annotated[list[Number], Field(min_length=4, max_length=4, description="left, top, right, bottom in pixels")]
Point = Annotated[list[Number], Field(min_length=2, max_length=2, description="x, y in pixels")]
Share = Annotated[float, Field(ge=0, le=1)]
Letter = Literal["A", "B", "C", "D", "E"]
Affect = Annotated[float, Field(ge=-1, le=1)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# -- what is asked


class Picture(_Asked):
    """One picture."""

    image: str = Field(min_length=1, description="data URL (data:image/jpeg;base64,…), or an http(s) URL of a host "
                       "that the operator allows")  # fmt: skip
    id: str | None = Field(default=None, max_length=200, description="comes back as it is")
    faces: list[Box] | None = Field(default=None, max_length=256, description="face boxes; no others are looked for")


class Options(_Asked):
    """What to find out, of every picture alike."""

    model: str | None = Field(default=None, max_length=200, description="a served model; null = the default one")
    mode: Mode = Field(default="explain", description="explain: reasoning, AUs, emotion; fast: AUs, emotion; label: "
                       "emotion")  # fmt: skip
    detect: bool = Field(default=True, description="look for faces; false = each picture is one face, cropped before")
    confidence: bool | None = Field(
        default=None, description="probability of each AU; null = in mode fast alone, for it makes what the engine "
        "sends for each token ten times as long",
    )  # fmt: skip


class AnalyzeRequest(Options):
    """Body of POST /v1/faces/analyze."""

    images: list[Picture] = Field(min_length=1)
    stream: bool = Field(default=False, description="a JSON line a picture, as each is ready, then one with the rest")


# -- what is said


class Why(BaseModel):
    """Why something is missing."""

    reason: str = Field(description="a short fixed phrase to count by: no face, too small, low quality, unsure, "
                        "unreadable answer; for errors a code such as damaged_image")  # fmt: skip
    message: str


class AU(BaseModel):
    """One action unit that the model names."""

    au: int
    name: str
    muscle: str = Field(description="empty for an action descriptor without a single muscle basis")
    region: str
    boxes: list[Box] = Field(description="where it shows on such a face, one box or one a side; see regions_from")
    confidence: Share | None = Field(description="probability that it is present, the smaller AUs being as listed; "
                                     "null: not asked, or the tokenizer writes it in pieces")  # fmt: skip
    intensity: Letter | None = Field(description="FACS: A trace to E maximum")
    said: str | None = Field(description="the sentence of the reasoning that names it")


class FaceAnswer(BaseModel):
    """One face."""

    box: Box
    score: Share | None = Field(description="how sure the detector is")
    landmarks: list[Point] | None = Field(description="68 in iBUG 300-W order, or the detector's own few")
    emotion: str | None = None
    probabilities: dict[str, Share] | None = Field(default=None, description="of each emotion on offer, summing to 1")
    calibrated: bool = Field(default=False, description="whether a temperature fitted on validation faces was applied")
    aus: list[AU] | None = Field(default=None, description="empty = none present; null = not asked, or not readable")
    regions_from: Literal["landmarks", "average face"] = "average face"
    valence: Affect | None = None
    arousal: Affect | None = None
    reasoning: str | None = None
    text: str | None = Field(default=None, description="the answer as the model wrote it")
    faults: list[str] = Field(default=[], description="every way in which the text misses the form")
    abstained: Why | None = None
    error: Why | None = Field(default=None, description="the engine failed on this face; ask again")


class PictureAnswer(BaseModel):
    """One picture."""

    index: int = Field(description="its place in the request")
    id: str | None
    width: int | None
    height: int | None
    error: Why | None = Field(default=None, description="it could not be read")
    faces: list[FaceAnswer] = Field(default=[], description="the largest first; given boxes in their order")
    abstained: Why | None = Field(default=None, description="no face was found")


class Provenance(BaseModel):
    """What an answer was made with."""

    model: str
    adapter: str | None
    engine: str
    mode: Mode
    prompt: str
    prompt_sha256: str
    image_path_sha256: str = Field(description="of the code that decodes, turns, crops and scales")
    max_pixels: int
    detector: str
    calibration: float | None = Field(description="temperature; null = none")
    versions: dict[str, str]


class Usage(BaseModel):
    """What it took."""

    faces: int = Field(default=0, description="that were asked about")
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class Head(BaseModel):
    """What stands above the pictures; the last line of a stream is this with `usage`."""

    id: str
    object: Literal["face.analysis"] = "face.analysis"
    created: int = Field(description="Unix time in seconds")
    model: str
    notice: str
    provenance: Provenance
    usage: Usage


class Analysis(Head):
    """Reply of POST /v1/faces/analyze."""

    images: list[PictureAnswer]
