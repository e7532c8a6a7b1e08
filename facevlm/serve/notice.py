"""What the service may be used for, and the refusal of what it may not: GET /v1/policy.

Regulation (EU) 2024/1689 (AI Act), Art. 5(1)(f), prohibits AI systems that infer emotions of a natural person in the
areas of workplace and education institutions, except for medical or safety reasons. Whether a use falls under it
cannot be seen in a picture. So the operator states the purpose of the service, and requests state where the people
are: by the header `X-Setting`, or in chat by `metadata: {"setting": …}`.
"""

from typing import Any

from facevlm.serve.faults import ApiError
from facevlm.serve.settings import Config

HEADER = "x-setting"

SETTINGS = {
    "workplace": "people at work, or who apply for it",
    "education": "people who learn or are examined",
    "medical": "care and therapy, also at work and at school",
    "safety": "protection from harm, also at work and at school",
    "research": "studies whose participants agreed",
    "other": "none of these",
}
"""What a request may say of where the people are."""

PROHIBITED = frozenset({"workplace", "education"})

_WORDS = {"work": "workplace", "job": "workplace", "employment": "workplace", "recruitment": "workplace",
          "hr": "workplace", "office": "workplace", "school": "education", "university": "education",
          "classroom": "education", "training": "education", "exam": "education", "health": "medical",
          "clinical": "medical", "study": "research"}  # fmt: skip

SHORT = ("A model's reading of facial movement, not of what a person feels. Not for decisions about people; not for "
         "emotion inference at work or in education (EU AI Act, Art. 5(1)(f)). See /v1/policy.")  # fmt: skip


class Policy:
    """The terms of one service."""

    def __init__(self, config: Config) -> None:
        self._allowed = config.allow_emotion_inference_at_work_or_school
        self._purpose = config.purpose or "a trial on this machine"
        self._demonstration = config.demonstration

    def check(self, setting: str | None, param: str = HEADER) -> None:
        """Refuse a request by what it says of where the people are; one that says nothing passes.

        Raises:
            ApiError: 403, prohibited here; 400, no such setting.
        """
        if setting is None:
            return
        word = setting.strip().lower()
        known = _WORDS.get(word, word)
        if known not in SETTINGS:
            raise ApiError(400, f"unknown setting; known: {', '.join(SETTINGS)}", "unknown_setting", param)
        if known in PROHIBITED and not self._allowed:
            raise ApiError(403, f"this service does not infer emotions in the setting {known!r}: the EU AI Act, "
                           "Art. 5(1)(f), prohibits it but for medical and safety reasons", "setting_refused",
                           param)  # fmt: skip

    @property
    def document(self) -> dict[str, Any]:
        """What GET /v1/policy answers."""
        terms = [
            "An expression is not a feeling: the service names visible facial movement and the emotion word that "
            "people commonly give it. It does not know what a person feels, intends or is.",
            "Scores differ between groups of people; test with people like yours before any use.",
            "No decision about a person may rest on an answer alone.",
            "People in the pictures must know of it and have agreed, or the law must allow it without.",
            "Pictures and answers are held in memory while a request is under way; neither is written to disk."
        ]  # fmt: skip
        if self._allowed:
            terms.append("The operator has allowed requests about people at work and in education, and answers "
                         "for their being medical or safety ones (EU AI Act, Art. 5(1)(f)).")  # fmt: skip
        else:
            terms.append("Emotion inference at work and in education is refused (EU AI Act, Art. 5(1)(f)).")
        return {"object": "policy", "notice": SHORT, "purpose": self._purpose, "demonstration": self._demonstration,
                "allow_emotion_inference_at_work_or_school": self._allowed, "terms": terms,
                "settings": SETTINGS, "header": HEADER}  # fmt: skip
