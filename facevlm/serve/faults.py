"""What a request is refused with: an HTTP status and OpenAI's error body."""

from typing import Any

from starlette.exceptions import HTTPException

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(HTTPException):
    """Refuses the request under way; the text goes to the client, so it names no path, address or key.

    It is an HTTPException because FastAPI lets those alone pass while it reads a body.
    """

    def __init__(self, status: int, message: str, code: str, param: str | None = None,
                 retry_after: float | None = None) -> None:  # fmt: skip
        """
        Args:
            status: HTTP status, 4xx or 5xx.
            code: a short fixed word to count and to branch by, such as "too_large".
            param: the field of the request that is at fault.
            retry_after: seconds after which the same request may well succeed.
        """
        headers = {} if retry_after is None else {"retry-after": str(max(1, round(retry_after)))}
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        super().__init__(status, message, headers)
        self.message, self.code, self.param = message, code, param

    @property
    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape."""
        kind = _TYPES.get(self.status_code, "invalid_request_error" if self.status_code < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}
