"""From pictures to what is said of the faces in them: look, ask the engine about each face, read what comes back."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import facevlm.images
from facevlm.checkpoint import read_facts
from facevlm.config import versions
from facevlm.images import decode
from facevlm.reading import calibration
from facevlm.serve.engines.launch import ServedModel
from facevlm.serve.faces.answering import affect, answered, blank
from facevlm.serve.faces.asking import Asker, Question
from facevlm.serve.faces.looking import Looker, Seen
from facevlm.serve.faces.schema import FaceAnswer, Head, Options, PictureAnswer, Provenance, Usage, Why
from facevlm.serve.faults import ApiError
from facevlm.serve.gateway import Gateway
from facevlm.serve.notice import SHORT
from facevlm.serve.pictures import unpack
from facevlm.serve.settings import Config

_AT_ONCE = 32
"""Questions of one analysis under way at once: more would only queue, and keep others waiting."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to look at."""

    source: str | bytes
    """Data URL, http(s) URL of an allowed host, or the bytes of a file."""
    id: str | None = None
    faces: Sequence[Sequence[float]] | None = None
    param: str | None = None
    """The field of the request that an error names."""


@dataclass
class Job:
    """One analysis under way: what is asked of every picture, and what it has taken so far."""

    model: ServedModel
    asker: Asker
    options: Options
    began: float = field(default_factory=time.perf_counter)
    usage: Usage = field(default_factory=lambda: Usage())
    failure: ApiError | None = None
    """What went wrong with a face last."""
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @property
    def wants_aus(self) -> bool:
        chosen = self.options.confidence
        return self.options.mode == "fast" if chosen is None else chosen


class Faces:
    """The face analysis of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """
        Raises:
            ConfigError: the face detector cannot be made, or a calibration cannot be read.
        """
        self.gateway, self.settings = gateway, gateway.settings
        self.looker = Looker(self.settings, drawn(self.settings))
        for model in _named(self.settings):
            calibration.read(model)  # at the start, not at the first request
        self._askers: dict[str, Asker] = {}

    async def job(self, options: Options) -> Job:
        """Begin an analysis.

        Raises:
            ApiError: 404, there is no such model; 503, no engine has told yet what it serves.
        """
        model = self.gateway.upstream.model(options.model)
        if model.name not in self._askers:
            self._askers[model.name] = await asyncio.to_thread(Asker.of, model, self.settings.max_answer_tokens)
        return Job(model, self._askers[model.name], options)

    async def picture(self, index: int, item: Item, job: Job) -> PictureAnswer:
        """All that is said of one picture; what is wrong with it is said there too, and harms no other.

        Raises:
            ApiError: 5xx.
        """
        answer = PictureAnswer(index=index, id=item.id, width=None, height=None)
        try:
            await self._fill(answer, item, job)
        except ApiError as e:
            if e.status_code >= 500:
                raise
            answer.error = Why(reason=e.code, message=e.message)
        job.usage.seconds = round(time.perf_counter() - job.began, 4)
        return answer

    async def _fill(self, answer: PictureAnswer, item: Item, job: Job) -> None:
        """Look at a picture and ask about its faces.

        Raises:
            ApiError: 400, the picture cannot be read.
        """
        size, seen, more = await self._look(item, job)
        answer.width, answer.height = size
        answer.faces = list(await asyncio.gather(*(self._face(one, job) for one in seen)))
        if not seen:
            answer.abstained = Why(reason="no face", message=f"detector {self.looker.name!r} found none; give boxes "
                                   "in `faces`, or detect=false if the picture is one face")  # fmt: skip
        elif more:
            answer.abstained = Why(reason="too many faces", message=f"{more} more faces were left "
                                   f"out; {self.settings.max_faces} of a picture are asked about")  # fmt: skip

    async def _look(self, item: Item, job: Job) -> tuple[tuple[int, int], list[Seen], int]:
        """Size of the picture, its faces, and how many more there are."""
        pictures, source = self.gateway.pictures, item.source
        if isinstance(source, str) and source[:5].lower() != "data:":
            source = await pictures.bytes_of(source, item.param)

        def work() -> tuple[tuple[int, int], list[Seen], int]:
            data = unpack(source, pictures.limits.max_bytes) if isinstance(source, str) else source
            picture = decode(data, pictures.limits)
            faces = self.looker.faces(picture, item.faces, job.options.detect)
            kept = faces[: self.settings.max_faces]
            return (picture.size, [self.looker.see(picture, face, job.model.max_pixels) for face in kept],
                    len(faces) - len(kept))  # fmt: skip

        return await pictures.run(work, item.param)

    async def _face(self, seen: Seen, job: Job) -> FaceAnswer:
        if seen.crop is None:
            return blank(seen)
        job.usage.faces += 1
        second = asyncio.create_task(self._affect(seen.crop, job))
        try:
            question = job.asker.question(job.options.mode)
            reply = await self._ask(question, seen.crop, job.wants_aus, job)
            face = answered(seen, question, reply, self.settings.unsure_below)
            face.valence, face.arousal = await second
        except ApiError as e:
            face, job.failure = blank(seen), e
            face.error = Why(reason=e.code, message=e.message)
        finally:
            second.cancel()
        return face

    async def _affect(self, crop: str, job: Job) -> tuple[float, float] | tuple[None, None]:
        """Valence and arousal, if the model was taught them and more than a label is wanted."""
        question = job.asker.affect
        if question is None or job.options.mode == "label":
            return None, None
        return affect(question, await self._ask(question, crop, False, job)) or (None, None)

    async def _ask(self, question: Question, crop: str, aus: bool, job: Job) -> dict[str, Any]:
        body = question.body(crop, self.settings.hold_to_form, aus)
        async with job.asking:
            reply = await self.gateway.upstream.chat(job.model.name, body)
        usage = reply.get("usage") or {}
        job.usage.prompt_tokens += usage.get("prompt_tokens") or 0
        job.usage.completion_tokens += usage.get("completion_tokens") or 0
        return reply

    def head(self, id: str, job: Job) -> Head:
        """What stands above the answers, with what they took up to now."""
        return Head(id=id, created=int(time.time()), model=job.model.name, notice=SHORT, usage=job.usage,
                    provenance=self._provenance(job))  # fmt: skip

    def _provenance(self, job: Job) -> Provenance:
        question, model = job.asker.question(job.options.mode), job.model
        return Provenance(
            model=model.base or model.name, adapter=model.adapter, engine="vllm", mode=job.options.mode,
            prompt=question.text, prompt_sha256=question.sha256, image_path_sha256=self._image_path,
            max_pixels=model.max_pixels, detector=self.looker.name if job.options.detect else "whole",
            calibration=question.calibration.temperature if question.calibration else None, versions=self._versions,
        )  # fmt: skip

    @cached_property
    def _versions(self) -> dict[str, str]:
        return versions()

    @cached_property
    def _image_path(self) -> str:
        return hashlib.sha256(Path(facevlm.images.__file__).read_bytes()).hexdigest()


def drawn(config: Config) -> bool:
    """Whether all models of a config came from the embedded one, which has seen drawn faces alone."""
    named = _named(config)
    return config.demonstration or (bool(named) and all(map(_from_tiny, named)))


def _named(config: Config) -> list[str]:
    return [*([config.model] if config.model else []), *config.models.values()]


def _from_tiny(model: str) -> bool:
    for _ in range(8):  # a chain of stages; facts written by hand might name each other
        if model == "tiny":
            return True
        model = str(read_facts(model).get("base") or "")
        if not model:
            break
    return False
