"""The headers of every answer: nothing is sniffed, framed, cached or loaded from elsewhere.

After the OWASP Secure Headers Project and OWASP's REST security cheat sheet. Strict-Transport-Security is left to
whatever ends TLS in front of the gateway.
"""

_COMMON = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"link", b'</v1/policy>; rel="terms-of-service"'),
)

API = (
    *_COMMON,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""For answers of the API: a browser that is made to show one runs nothing of it."""

PAGE = (
    *_COMMON,
    (b"content-security-policy",
     b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
     b"connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
     b"frame-ancestors 'none'; require-trusted-types-for 'script'"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cache-control", b"no-cache"),
)  # fmt: skip
"""For the web page and its files: only its own scripts and styles, no inline ones, and the camera."""


def safe(path: str, own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with the safe ones added; a header that the answer sets itself is left as it is."""
    wanted = PAGE if is_page(path) else API
    there = {name.lower() for name, _ in own}
    return [*own, *(header for header in wanted if header[0] not in there)]


def is_page(path: str) -> bool:
    """Whether a path belongs to the web page: it alone can be asked for without a key."""
    return path == "/" or path.startswith("/page/")
