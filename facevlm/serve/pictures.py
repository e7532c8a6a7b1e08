"""Pictures on their way through: from a data URL, an allowed address or a form to pixels, and on to the engine.

Everything is read and scaled by `facevlm.images`, as in training; nothing touches the disk.
"""

import asyncio
import base64
import binascii
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from facevlm import images
from facevlm.images import ImageError, Limits
from facevlm.serve.counters import Counters
from facevlm.serve.faults import ApiError
from facevlm.serve.remote import Fetcher
from facevlm.serve.settings import Config

T = TypeVar("T")

_HEAD = re.compile(r"data:(image/[a-z0-9.+-]{1,40})?;base64,", re.IGNORECASE)
_ORIENTATION = 0x0112
_PLAIN = {"JPEG": "image/jpeg", "PNG": "image/png"}  # an MPO, two pictures in one, has a name of its own


class Pictures:
    """Reads pictures in a pool of threads: decoding lets go of Python's lock."""

    def __init__(self, config: Config, counters: Counters, fetcher: Fetcher | None = None) -> None:
        """
        Args:
            fetcher: gets pictures by URL; None = as the config says.
        """
        self.limits = Limits(int(config.max_image_mb * 2**20), int(config.max_image_megapixels * 1e6))
        self._counters = counters
        self._fetcher = fetcher or Fetcher(config)
        self._pool = ThreadPoolExecutor(config.threads, "pictures")

    async def run(self, work: Callable[[], T], param: str | None = None) -> T:
        """Work on pictures in the pool.

        Raises:
            ApiError: 400, in place of an `ImageError`.
        """
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except ImageError as e:
            raise self._refused(e, param) from None
        self._counters.pictures.labels("ok").inc()
        return result

    async def load(self, source: str | bytes, param: str | None = None) -> Image.Image:
        """A picture as upright RGB of its full size.

        Args:
            source: a data URL, an http(s) URL of an allowed host, or the bytes of a file.
            param: the field of the request that an error names.

        Raises:
            ApiError: 400, it cannot be used; the code is the reason of the `ImageError`, such as too_many_pixels.
        """
        data = source if isinstance(source, bytes) else await self.bytes_of(source, param)
        return await self.run(lambda: images.decode(data, self.limits), param)

    async def bytes_of(self, url: str, param: str | None = None) -> bytes:
        """The file behind a data URL or an http(s) URL of an allowed host.

        Raises:
            ApiError: 400, it is none, too large, or not to be had.
        """
        if url[:5].lower() == "data:":
            try:
                return unpack(url, self.limits.max_bytes)
            except ImageError as e:
                raise self._refused(e, param) from None
        return await self._fetcher.fetch(url, self.limits.max_bytes, param)

    async def for_engine(self, url: str, max_pixels: int, param: str | None = None) -> str:
        """A picture of a client as the data URL that the engine is given.

        A JPEG or PNG that is upright RGB within the budget goes on as it came, once it has been read to its end:
        the engine opens it with the same Pillow and takes it as it is, so the pixels are the same. Whatever would be
        turned, converted, shrunk or composed goes on as the pixels that `facevlm.images` made of it.

        Raises:
            ApiError: as `load`.
        """
        if url[:5].lower() != "data:":
            fetched = await self.bytes_of(url, param)
            return await self.run(lambda: prepared(fetched, max_pixels, self.limits), param)
        return await self.run(lambda: prepared(url, max_pixels, self.limits), param)

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self._fetcher.close()

    def _refused(self, error: ImageError, param: str | None) -> ApiError:
        self._counters.pictures.labels(error.reason).inc()
        # "not an image: the given bytes is none of …": the text names sizes and limits, never what the bytes are.
        return ApiError(400, str(error), error.reason.lower().replace(" ", "_"), param)


def unpack(url: str, max_bytes: int) -> bytes:
    """The bytes of a data URL.

    Raises:
        ImageError: it is no base64 data URL of a picture, or too large.
    """
    head = _HEAD.match(url)
    if head is None:
        raise ImageError("bad data URL", "it must begin with data:image/jpeg;base64, or the like")
    if (len(url) - head.end()) * 3 // 4 > max_bytes + 2:
        raise ImageError("file too large", f"limit {max_bytes} bytes")
    try:
        return binascii.a2b_base64(url[head.end() :], strict_mode=True)
    except ValueError:  # also what is not ASCII
        raise ImageError("bad data URL", "what follows the comma is not base64") from None


def prepared(source: str | bytes, max_pixels: int, limits: Limits) -> str:
    """The data URL for the engine, see `Pictures.for_engine`.

    Raises:
        ImageError: see `facevlm.images.decode` and `unpack`.
    """
    data = unpack(source, limits.max_bytes) if isinstance(source, str) else source
    picture = images.decode(data, limits)
    if picture.width * picture.height <= max_pixels and (kind := _plain(data)):
        return source if isinstance(source, str) else packed(data, kind)
    return encode(images.fit(picture, max_pixels))


def _plain(data: bytes) -> str | None:
    """The media type of a file, known to be whole, if it is nothing but upright RGB, which all readers see alike."""
    with Image.open(io.BytesIO(data), formats=images.FORMATS) as picture:
        odd = picture.mode != "RGB" or "transparency" in picture.info or picture.getexif().get(_ORIENTATION, 1) != 1
        return None if odd else _PLAIN.get(picture.format or "")


def encode(picture: Image.Image) -> str:
    """Pixels as a data URL: BMP, which is lossless as PNG is, and a fiftieth of its work on either side.

    The engine is on this machine or near; 512 x 512 pixels are 1 MB of text and 1 ms, as PNG 0.6 MB and 44 ms.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "BMP")
    return packed(buffer.getvalue(), "image/bmp")


def packed(data: bytes, kind: str) -> str:
    """Bytes as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
