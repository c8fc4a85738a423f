"""The dashboard on the admin port: one page, its style and scripts, and the stream of figures it shows."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from aiohttp import web

from services.monitoring.broadcast import Broadcast, NoRoomError, Viewer

_PACKAGE: Final = "services.monitoring.web"
_PAGE: Final = ("index.html", "text/html")
_ASSETS: Final = (
    ("style.css", "text/css"),
    ("app.js", "text/javascript"),
    ("chart.js", "text/javascript"),
    ("format.js", "text/javascript"),
)
_RETRY_AFTER_SECONDS: Final = "5"
# A page that waits longer than this for its socket to drain is gone or asleep.
_WRITE_SECONDS: Final = 10.0
_SECURITY_HEADERS: Final = {
    # Nothing but our own files: the page works without the internet, and an injected address would not load.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The address may carry the token.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_STREAM_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # Proxies that buffer would hold the figures back.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dashboard:
    """The pages under `/dashboard`.

    Args:
        broadcast: the frames to show.
        token: what a viewer must show as `?token=` or `Authorization: Bearer`; empty lets everyone in.
    """

    def __init__(self, broadcast: Broadcast, token: str) -> None:
        self._broadcast = broadcast
        self._token = token.encode()

    def routes(self) -> tuple[web.RouteDef, ...]:
        """For `ServiceSpec.routes`; the files are read now, once."""
        # The style and the scripts hold no figures, so only the page and the stream are guarded.
        assets = (web.get(f"/dashboard/{name}", _static(name, media_type)) for name, media_type in _ASSETS)
        return (
            web.get("/dashboard", self._guarded(_static(*_PAGE))),
            web.get("/dashboard/events", self._guarded(self._events)),
            *assets,
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._token and not hmac.compare_digest(_shown_token(request).encode(), self._token):
                return web.Response(
                    status=401,
                    text="This dashboard needs its token: open /dashboard?token=<AGENTMESH_DASHBOARD_TOKEN>\n",
                    headers={"WWW-Authenticate": "Bearer", **_SECURITY_HEADERS},
                )
            return await handler(request)

        return guarded

    async def _events(self, request: web.Request) -> web.StreamResponse:
        def abort() -> None:
            # The handler may be stuck in a write that will never end: only the connection's end frees it.
            if request.transport is not None:
                request.transport.abort()

        try:
            with self._broadcast.join(abort) as viewer:
                return await _stream(request, viewer)
        except NoRoomError:
            return web.Response(
                status=503,
                text="Too many pages are watching; close one or try again.\n",
                headers={"Retry-After": _RETRY_AFTER_SECONDS},
            )


async def _stream(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    response = web.StreamResponse(headers=_STREAM_HEADERS)
    await response.prepare(request)
    try:
        async for frame in viewer:
            async with asyncio.timeout(_WRITE_SECONDS):
                await response.write(b"data: " + frame + b"\n\n")
    except (ConnectionError, TimeoutError):
        # The viewer went away or does not read: nobody is left to tell.
        return response
    return response


def _static(name: str, media_type: str) -> Handler:
    body = files(_PACKAGE).joinpath(name).read_bytes()

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=_SECURITY_HEADERS)

    return serve


def _shown_token(request: web.Request) -> str:
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential if scheme.lower() == "bearer" else request.query.get("token", "")
