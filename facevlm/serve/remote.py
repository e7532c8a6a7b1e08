"""Pictures by URL, without letting clients make the gateway call where they cannot: SSRF is closed at the socket.

Off unless `allow_hosts` names hosts, with a port where it is not the usual one. A name is looked up once, every
address it has must be public, and the connection goes to just those addresses; redirects are not followed (OWASP SSRF
prevention cheat sheet, case 2).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from facevlm.serve.faults import ApiError
from facevlm.serve.hosts import fits
from facevlm.serve.settings import Config

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def public(address: str) -> bool:
    """Whether an address is one of the open internet: not private, loopback, link-local, multicast or reserved, nor an
    IPv6 form that carries an IPv4 address inside."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour or ip.teredo
        if carried is not None or ip in _NAT64:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Checked(AbstractResolver):
    """Looks a name up and refuses it if any of its addresses may not be called."""

    def __init__(self, permitted: Callable[[str], bool]) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._permitted = permitted

    async def resolve(self, host: str, port: int = 0,
                      family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:  # fmt: skip
        found = await self._inner.resolve(host, port, family)
        if not found or not all(self._permitted(one["host"]) for one in found):
            raise OSError("not a public address")
        return found

    async def close(self) -> None:
        await self._inner.close()


class Fetcher:
    """Gets pictures from allowed hosts."""

    def __init__(self, config: Config, permitted: Callable[[str], bool] = public) -> None:
        """
        Args:
            permitted: which addresses may be called.
        """
        self._hosts = tuple(name.lower() for name in config.allow_hosts)
        self._seconds, self._permitted = config.fetch_seconds, permitted
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, max_bytes: int, param: str | None = None) -> bytes:
        """The bytes behind a URL.

        Raises:
            ApiError: 400; the text does not say what lies at addresses that may not be called.
        """
        checked = self._checked(url, param)
        if self._session is None:
            resolver = _Checked(self._permitted)
            connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=32, force_close=True)
            # No cookies, no credentials of this machine's .netrc, no proxy of its environment.
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False,
                                                  cookie_jar=aiohttp.DummyCookieJar())  # fmt: skip
        options: dict[str, Any] = {"allow_redirects": False, "headers": {"accept": "image/*",
                                                                         "accept-encoding": "identity"}}  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds), self._session.get(checked, **options) as reply:
                if reply.status != 200:
                    raise ApiError(400, f"the host of the picture answered {reply.status}", "fetch_failed", param)
                return await _read(reply, max_bytes, param)
        except TimeoutError:
            raise ApiError(400, f"no picture came within {self._seconds:g} s", "fetch_failed", param) from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise ApiError(400, "the picture cannot be fetched from there", "fetch_failed", param) from None

    def _checked(self, text: str, param: str | None) -> yarl.URL:
        """The URL as aiohttp will read it: two readers of one text are how such checks are got round."""
        try:
            url = yarl.URL(text)
            host, port = (url.host or "").lower(), url.port
        except ValueError:
            url, host, port = yarl.URL(), "", None
        if url.scheme not in ("http", "https") or not host or url.user is not None or url.password is not None:
            raise ApiError(400, "a picture is a data URL (data:image/jpeg;base64,…), or an http(s) URL without a user "
                           "name", "bad_url", param)  # fmt: skip
        if not fits(host if url.is_default_port() else f"{host}:{port}", self._hosts):
            raise ApiError(400, "pictures are not fetched from this host; send a data URL, or ask the operator to add "
                           "it to `allow_hosts`", "host_not_allowed", param)  # fmt: skip
        # aiohttp connects to a literal address without asking the resolver.
        literal = _literal(host)
        if literal is not None and not self._permitted(literal):
            raise ApiError(400, "the picture cannot be fetched from there", "fetch_failed", param)
        return url

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _literal(host: str) -> str | None:
    """The address that a host is written as, also in the shortened and octal ways that inet_aton reads."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


async def _read(reply: aiohttp.ClientResponse, max_bytes: int, param: str | None) -> bytes:
    data = bytearray()
    async for chunk in reply.content.iter_chunked(2**16):
        data += chunk
        if len(data) > max_bytes:
            raise ApiError(400, f"the picture has more than {max_bytes} bytes", "file_too_large", param)
    return bytes(data)
