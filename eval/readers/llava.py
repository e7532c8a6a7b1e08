"""Answer files of LLaVA and of the many forks of its evaluation: JSON lines with a question's number and a text.

    {"question_id": "0001", "prompt": "…", "text": "…", "answer_id": "…", "model_id": "…", "metadata": {}}

`question_id` is whatever the questions were numbered by: picture names (match=path), record ids, or rows (match=row).
"""

from eval.elsewhere.reading import Reader

LLAVA = Reader(
    doc="JSON lines with `question_id` and `text`.",
    source="haotian-liu/LLaVA and forks, `llava/eval/model_vqa_loader.py`; says where texts stand, not how to read "
           "them",
    layout=True, ids=("question_id",), texts=("text",),
)  # fmt: skip
