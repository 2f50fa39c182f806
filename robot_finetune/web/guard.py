"""Who may see the page and press its buttons.

On this computer alone: requests that name it as their host, so that no other site's name can be bound to it. Elsewhere:
a token, in the address once, in a cookie or a header from then on. Whatever changes something needs a header that a
page of another site cannot send, and comes from this page where the browser says from where.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASKED_BY = "x-robot-finetune"
"""Header of requests that change something; any value."""
SAFE = ("GET", "HEAD")
HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


def is_local(host: str) -> bool:
    """Whether an address is met from this computer only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Stands before an ASGI application."""

    def __init__(self, app: ASGIApp, token: str = "", port: int = 0) -> None:
        """token: "" for an application that is met from this computer only. port: tells its cookie from others'."""
        self._app, self._token, self._cookie = app, token, f"robot_finetune_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        answer = self._answer(Request(scope))
        await (answer or self._app)(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """What is answered instead of the application; None to let the request through."""
        given = request.query_params.get("token")
        if self._token and given is not None and request.method in SAFE:
            return self._welcome(request) if self._is_token(given) else _refused("this token is not the right one", 401)
        if not self._token and not is_local(_name_of(request)):
            return _refused("open this page as localhost", 421)
        if self._token and not self._is_token(self._brought(request)):
            return _refused("open the address with the token that was printed when the page was started", 401)
        return None if request.method in SAFE else _foreign(request)

    def _welcome(self, request: Request) -> Response:
        """The page's address without the token, which the browser keeps from now on."""
        others = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        path = "/" + request.url.path.lstrip("/\\")  # nothing that a browser reads as another host
        answer = RedirectResponse(f"{path}?{urlencode(others)}" if others else path, 303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
        return answer

    def _brought(self, request: Request) -> str:
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        return bearer if kind.lower() == "bearer" else request.cookies.get(self._cookie, "")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _foreign(request: Request) -> Response | None:
    """A refusal of a change that another site may have asked for."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        return _refused("only this page's own buttons change something", 403)
    return None if ASKED_BY in request.headers else _refused(f"a header {ASKED_BY} is needed to change something", 403)


def _name_of(request: Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _refused(text: str, code: int) -> Response:
    return PlainTextResponse(text, code)
