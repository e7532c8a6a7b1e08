"""Our own answer form, read exactly: <au>AU6, AU12</au><answer>happiness</answer>."""

from eval.elsewhere.reading import Reader, strict

STRICT = Reader(
    doc="The answer form of docs/tasks.md, exactly; an AU in prose is none.",
    source="`facevlm.answer.parse`",
    read=strict,
)
