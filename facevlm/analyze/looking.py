"""A picture of the inputs -> the rows of its faces, and each face as the model is to see it."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from PIL.Image import Image

from facevlm.analyze.ahead import ahead
from facevlm.analyze.items import Item, Seen
from facevlm.analyze.rows import Row, blank, located
from facevlm.analyze.settings import Job
from facevlm.analyze.store import Store
from facevlm.config import ConfigError
from facevlm.detect import Detector
from facevlm.images import ImageError, crop, decode, fit


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture that was read, or why it could not be."""

    item: Item
    seen: Seen | ImageError


@dataclass(frozen=True, slots=True)
class End:
    """Stands after the last picture of a part that is wanted."""

    part: int
    pictures: int
    digest: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The faces of a picture: rows, and beside each the face, or None where there is nothing to ask about."""

    rows: list[tuple[Row, Image | None]]


def fetch(listing: Iterable[Item], store: Store, wanted: Iterable[int] | None = None) -> Iterator[Fetched | End]:
    """Read the pictures of all parts that are to be done, an `End` after each part.

    Args:
        wanted: numbers of parts; None = all that are of this share and not there yet.

    Raises:
        ConfigError: a finished part does not hold the pictures that the inputs now have in its place.
    """
    only = None if wanted is None else set(wanted)
    part, count, names = 0, 0, blake2b(digest_size=16)
    doing = _doing(store, only, 0)
    for item in listing:
        if count == store.size:
            yield from _ended(store, part, count, names.hexdigest(), doing)
            part, count, names = part + 1, 0, blake2b(digest_size=16)
            doing = _doing(store, only, part)
        count += 1
        names.update(item.name.encode(errors="surrogateescape") + b"\n")
        if doing:
            yield Fetched(item, _read(item))
    if count:
        yield from _ended(store, part, count, names.hexdigest(), doing)
        part += 1
    store.ended(part)


def _doing(store: Store, only: set[int] | None, part: int) -> bool:
    return part in only if only is not None else store.mine(part) and not store.has(part)


def _ended(store: Store, part: int, pictures: int, digest: str, doing: bool) -> Iterator[End]:
    if doing:
        yield End(part, pictures, digest)
    elif store.has(part) and (store.facts(part).pictures, store.facts(part).digest) != (pictures, digest):
        raise ConfigError(f"the inputs, or `limit`, have changed since {store.path(part)} was written: other pictures "
                          "are in its place now. Give another `out`, or remove this one to begin anew")  # fmt: skip


def _read(item: Item) -> Seen | ImageError:
    try:
        return item.read()
    except ImageError as e:
        return e


def look(job: Job, find: Detector, fetched: Fetched) -> Looked:
    """Decode a picture, find its faces and cut them out, as training does."""
    item, seen = fetched.item, fetched.seen
    try:
        if isinstance(seen, ImageError):
            raise seen
        picture = seen.picture if isinstance(seen.picture, Image) else decode(seen.picture)
    except (ImageError, OSError) as e:
        given = {} if isinstance(seen, ImageError) else seen.given
        error = str(e) if isinstance(e, ImageError) else f"unreadable file: {e}"  # no permission, a failing disk
        return Looked([(blank(item.name, item.video, item.second, given, error), None)])
    row = blank(item.name, item.video, item.second, seen.given)
    faces = find(picture)
    if not faces:
        said = f"no face: {job.config.detector} found none in {picture.width} x {picture.height} pixels"
        return Looked([(row | {"error": said}, None)])
    rows: list[tuple[Row, Image | None]] = []
    for i, face in enumerate(faces):
        mine = located(row, i, face.cut, face.score)
        try:
            if face.cut is not None and face.side < job.config.min_face:
                raise ImageError("face too small", f"{face.side:.0f} pixels, min_face {job.config.min_face}")
            cut = picture if face.cut is None else crop(picture, face.cut)
            rows.append((mine, fit(cut, job.max_pixels)))
        except ImageError as e:
            rows.append((mine | {"error": str(e)}, None))
    return Looked(rows)


def looking(job: Job, find: Detector,
            fetched: Iterable[Fetched | End]) -> Generator[Looked | End, None, None]:  # fmt: skip
    """`look` at all that was fetched, ahead of the engine in threads."""

    def work(thing: Fetched | End) -> Looked | End:
        return look(job, find, thing) if isinstance(thing, Fetched) else thing

    return ahead(fetched, work, job.config.threads, 2 * job.config.batch)

