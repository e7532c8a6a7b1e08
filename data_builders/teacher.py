"""Rationales by a model: a larger one that teaches, or the policy that is being trained.

A teacher is shown the picture and, by default, the labels, and writes how an observer comes to them; blind, it has to
find them itself. The policy gets its own question and nothing else. Whoever writes, a rationale is kept only if it
passes `rationale_checks.judge`; what fails is asked for again with its faults named, then dropped with a reason.

Label-conditioned rationales with retries: Facial-R1 (AAAI 2026); keeping one's own where the answer is right: STaR
(Zelikman et al. 2022).
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from data_builders import rationale_checks
from data_builders.rationale_checks import Fault
from data_builders.teacher_prompts import again, plan_of, prompt
from facevlm import checkpoint, generate
from facevlm import config as configs
from facevlm.answer import Part
from facevlm.checkpoint import DEFAULT_MAX_PIXELS, pixel_budget
from facevlm.config import ConfigError, doc
from facevlm.generate import Generator, Reply, Request
from facevlm.generate.endpoint import Endpoint, Failure
from facevlm.images import ImageError, load_face
from facevlm.prompts import asked_parts, question, variant
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import LABEL_SETS

Kind = Literal["teacher", "policy"]


@dataclass(frozen=True)
class TeacherOptions:
    """The keys of `teacher` in a build's config."""

    model: str = doc("folder, Hub name, tiny, or the name by which an endpoint knows it")
    engine: Literal["auto", "vllm", "transformers", "endpoint"] = doc(
        "auto: an endpoint where url is given, else vLLM where it is installed", default="auto")  # fmt: skip
    engine_options: dict[str, Any] = doc("handed to vLLM or transformers: dtype, max_model_len, gpu_memory …",
                                         default_factory=dict)  # fmt: skip
    max_images: int = doc("most pictures of one record: frames of a clip", default=1)
    max_pixels: int | None = doc("most pixels of a picture; null = as the model was trained, else 512 x 512",
                                 default=None)  # fmt: skip

    url: str | None = doc("address of an OpenAI-compatible endpoint, such as http://gpu-box:8000/v1", default=None)
    api_key_env: str | None = doc("name of the environment variable that holds the key; null = no key", default=None)
    concurrency: int = doc("requests to the endpoint at once", default=32)
    timeout: float = doc("seconds for one attempt", default=120.0)
    retries: int = doc("further attempts when the endpoint fails or is busy", default=6)
    body: dict[str, Any] = doc("more fields of each request, e.g. {chat_template_kwargs: {enable_thinking: false}}; "
                               "null leaves one of ours out", default_factory=dict)  # fmt: skip

    condition: Literal["labels", "blind"] = doc("labels: the teacher is shown them and explains; blind: it must find "
                                                "them. The policy is always blind", default="labels")  # fmt: skip
    candidates: int = doc("rationales asked for at once; of those that pass, the one that names most of the present "
                          "action units is kept, the earlier of two alike", default=1)  # fmt: skip
    tries: int = doc("how often a record is asked for before it is dropped", default=3)
    temperature: float = doc("of sampling; 0 = greedy", default=0.7)
    max_new_tokens: int = doc("longest reply", default=512)
    min_words: int | None = doc("of a rationale; null = 30 for a teacher, 5 for the policy", default=None)
    max_words: int = doc("of a rationale", default=200)
    seed: int = doc("of wordings and sampling", default=0)

    budget_requests: int | None = doc("most questions asked in the whole build; null = no limit", default=None)
    budget_tokens: int | None = doc("prompt and completion tokens of the whole build, checked before each round; "
                                    "null = no limit", default=None)  # fmt: skip

    def __post_init__(self) -> None:
        least = {"max_images": 1, "max_pixels": 1024, "concurrency": 1, "retries": 0, "candidates": 1, "tries": 1,
                 "max_new_tokens": 1, "min_words": 1, "max_words": 1, "budget_requests": 0,
                 "budget_tokens": 0}  # fmt: skip
        values = {name: getattr(self, name) for name in least}
        found = [f"{name} is {n}; it must be {least[name]} or more" for name, n in values.items()
                 if n is not None and n < least[name]]  # fmt: skip
        if self.timeout <= 0 or self.temperature < 0:
            found.append(f"timeout {self.timeout:g} must be above 0 and temperature {self.temperature:g} not below 0")
        if self.min_words is not None and self.min_words > self.max_words:
            found.append(f"min_words {self.min_words} is more than max_words {self.max_words}")
        if self.candidates > 1 and self.temperature == 0:
            found.append(f"candidates is {self.candidates}, but at temperature 0 they would all be the same")
        if self.engine == "endpoint" and self.url is None:
            found.append("engine endpoint needs url")
        if self.engine in ("vllm", "transformers") and self.url is not None:
            found.append(f"url is for engine endpoint, not {self.engine}")
        if found:
            raise ConfigError("\n  ".join(found))


class BudgetSpent(ConfigError):  # noqa: N818 (it is no error of the config, only handled like one)
    """The next round would go beyond the budget; what is done is kept by the build."""


@dataclass
class _Case:
    """A record on its way to a rationale."""

    record: FaceRecord
    parts: tuple[Part, ...]
    images: tuple[Image.Image, ...]
    text: str
    """The question without what went wrong before."""
    faults: list[Fault] = field(default_factory=list)
    """What was wrong with the best candidate of the last try that was answered."""
    reason: str = ""
    detail: str = ""
    hopeless: bool = False
    """Asking again would bring the same."""


class Teacher:
    """Writes the rationales of records, some hundred at a time, through any engine."""

    def __init__(self, options: TeacherOptions, generator: Generator, kind: Kind = "teacher",
                 spent: Mapping[str, int] | None = None) -> None:  # fmt: skip
        """
        Args:
            spent: what `spent` said when the build was last left.
        """
        self.options, self.generator, self.kind = options, generator, kind
        self._spent = {"requests": 0, "failed": 0, "prompt_tokens": 0, "completion_tokens": 0} | dict(spent or {})
        self._told = kind == "teacher" and options.condition == "labels"
        self._low = options.min_words or (30 if kind == "teacher" else 5)
        self._pixels = options.max_pixels or (DEFAULT_MAX_PIXELS if options.url else pixel_budget(options.model))

    @property
    def spent(self) -> dict[str, int]:
        """Requests (of which failed), prompt and completion tokens so far: to be saved with what was written."""
        return dict(self._spent)

    def write(self, records: Sequence[FaceRecord], root: Path) -> list[FaceRecord | Drop]:
        """The records with a rationale, or Drops that say why not; in the order given.

        A record that has a rationale, or no label to reason towards, stays as it is. What is asked about a record
        depends on the record, the options and the number of the try, never on the records beside it.

        Raises:
            BudgetSpent: the next round does not fit; nothing of these records is kept.
            facevlm.checkpoint.ModelError: the endpoint refuses or is gone.
        """
        done: dict[int, FaceRecord | Drop] = {}
        cases: dict[int, _Case] = {}
        with ThreadPoolExecutor(min(32, 2 * (os.cpu_count() or 1))) as pool:
            for i, opened in enumerate(pool.map(lambda record: self._open(record, root), records)):
                if isinstance(opened, _Case):
                    cases[i] = opened
                else:
                    done[i] = opened
        for number in range(1, self.options.tries + 1):
            waiting = {i: case for i, case in cases.items() if i not in done and not case.hopeless}
            if not waiting:
                break
            written = self._round(list(waiting.values()), number)
            done |= {i: kept for i, kept in zip(waiting, written, strict=True) if kept is not None}
        for i, case in cases.items():
            done.setdefault(i, Drop(case.record.id, case.reason, case.detail[:500], case.record.split))
        return [done[i] for i in range(len(records))]

    def _open(self, record: FaceRecord, root: Path) -> _Case | FaceRecord | Drop:
        if record.rationale is not None or not (record.aus or record.emotion):
            return record
        try:
            images = tuple(load_face(root / name, record.box, self._pixels) for name in record.pictures)
        except ImageError as e:
            return Drop(record.id, e.reason, str(e), record.split)
        parts = asked_parts("explain", record)
        return _Case(record, parts, images, self._question(record, parts))

    def _question(self, record: FaceRecord, parts: Sequence[Part]) -> str:
        options = self.options
        if self.kind == "policy":
            return question(parts, LABEL_SETS[record.label_set].labels if record.label_set else ())
        return prompt(record, parts, options.condition, plan_of(record, options.seed), self._low, options.max_words)

    def _asked(self, case: _Case) -> str:
        """The question with what went wrong before; a policy knows no other question than its own."""
        return case.text if self.kind == "policy" else case.text + again(case.faults, self._told)

    def _round(self, cases: Sequence[_Case], number: int) -> list[FaceRecord | None]:
        """Ask for all candidates of one try; None stands for a record of which none passed."""
        options = self.options
        requests = [Request(case.images, self._asked(case)) for case in cases]
        self._afford(len(requests) * options.candidates)
        # One call for each candidate, over all records: the engine stays full, and equal requests differ by seed.
        columns = [self._ask(requests, variant(options.seed, f"try {number}, candidate {c}", 2**31))
                   for c in range(options.candidates)]  # fmt: skip
        return [self._settle(case, replies, number) for case, *replies in zip(cases, *columns, strict=True)]

    def _settle(self, case: _Case, replies: Sequence[Reply], number: int) -> FaceRecord | None:
        answered = [reply for reply in replies if not isinstance(reply, Failure)]
        judged = [self._judge(reply, case) for reply in answered]
        passed = [_thinking(reply.text) for reply, faults in zip(answered, judged, strict=True) if not faults]
        if passed:
            best = max(passed, key=lambda text: rationale_checks.named_gold(text, case.record))
            return replace(case.record, rationale=best, rationale_by=self._by(case.record, number))
        if not answered:
            failures = [reply for reply in replies if isinstance(reply, Failure)]
            case.reason, case.detail = "the model gave no answer", failures[-1].fault
            case.hopeless = not any(failure.again for failure in failures)
            return None
        before, case.faults = self._asked(case), min(judged, key=len)
        case.reason, case.detail = "no rationale passed", rationale_checks.summary(case.faults)
        case.hopeless = self.options.temperature == 0 and self._asked(case) == before
        return None

    def _judge(self, reply: Reply, case: _Case) -> list[Fault]:
        return rationale_checks.judge(reply.text, case.record, case.parts, self._low, self.options.max_words)

    def _by(self, record: FaceRecord, number: int) -> str:
        how = [f"{self.kind} {Path(self.options.model).name}"]
        if self.kind == "teacher":
            condition = "label-conditioned" if self._told else "blind"
            how += [condition, f"prompt {plan_of(record, self.options.seed) + 1}"]
        how.append(f"T {self.options.temperature:g}")
        if self.options.candidates > 1:
            how.append(f"best of {self.options.candidates}")
        return ", ".join([*how, f"try {number} of {self.options.tries}"])

    def _ask(self, requests: Sequence[Request], seed: int) -> list[Reply]:
        replies = self.generator.generate(requests, self.options.max_new_tokens, self.options.temperature, seed)
        self._spent["requests"] += len(replies)
        self._spent["failed"] += sum(isinstance(reply, Failure) for reply in replies)
        self._spent["prompt_tokens"] += sum(reply.prompt_tokens for reply in replies)
        self._spent["completion_tokens"] += sum(reply.completion_tokens for reply in replies)
        return replies

    def _afford(self, requests: int) -> None:
        spent, options = self._spent, self.options
        tokens = spent["prompt_tokens"] + spent["completion_tokens"]
        most = options.budget_requests
        over = []
        if most is not None and spent["requests"] + requests > most:
            over.append(f"{spent['requests']} of budget_requests {most} are spent, {most - spent['requests']} remain, "
                        f"and the next round asks {requests}")  # fmt: skip
        if options.budget_tokens is not None and tokens >= options.budget_tokens:
            over.append(f"{tokens} of budget_tokens {options.budget_tokens} are spent ({spent['prompt_tokens']} in "
                        f"prompts, {spent['completion_tokens']} in replies; {spent['requests']} requests)")
        if over:
            raise BudgetSpent(f"{'; '.join(over)}. Start the build again with a larger budget: it goes on where it "
                              "was")  # fmt: skip


def _thinking(text: str) -> str:
    return text.split("<think>", 1)[1].split("</think>", 1)[0].strip()


def make(kind: Kind, options: Mapping[str, Any], spent: Mapping[str, int] | None = None) -> Teacher:
    """A teacher from a config's `teacher` keys; loads the model.

    Raises:
        ConfigError: a key is unknown or wrong; the text says which.
        facevlm.checkpoint.ModelError: no such model or engine here, or the endpoint's key is not set.
    """
    checked = check(kind, options)
    if checked.url is not None:
        generator: Generator = Endpoint(checked.model, checked.url, checked.api_key_env, checked.concurrency,
                                        checked.timeout, checked.retries, checked.body)  # fmt: skip
    else:
        name: Any = checked.engine
        try:
            generator = generate.engine(checked.model, name, max_images=checked.max_images, **checked.engine_options)
        except TypeError as e:
            raise ConfigError(f"teacher.engine_options {checked.engine_options}: {e}") from e
    return Teacher(checked, generator, kind, spent)


def check(kind: Kind, options: Mapping[str, Any]) -> TeacherOptions:
    """The `teacher` keys of a config, checked without loading anything.

    Raises:
        ConfigError: a key is unknown or wrong, or there is no such model.
    """
    try:
        checked = configs.build(TeacherOptions, dict(options))
    except ConfigError as e:
        raise ConfigError(f"teacher: {e}") from e
    if kind == "policy" and options.get("condition") == "labels":
        raise ConfigError("teacher.condition: the policy gets its own question, which shows no labels; leave it out")
    if checked.url is None:
        checkpoint.resolve(checked.model)
    return checked
