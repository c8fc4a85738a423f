"""The part of a Kubernetes API server that serves EndpointSlices, on the loopback interface.

It speaks list and watch as the real one does (the API concepts' "Efficient detection of changes"): versions, label
selectors, bookmarks, watches that end, 410 Gone after compaction, `Status` objects for errors. What a test wants to go
wrong, it can make go wrong.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from libs.testing.endpoint_slices import KIND, SERVICE_LABEL, EndpointSlice, Object

_PATH: Final = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as the server got it."""

    namespace: str
    query: Mapping[str, str]
    authorization: str

    @property
    def watch(self) -> bool:
        """Whether it is a watch, and not a list."""
        return self.query.get("watch") == "1"


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    old: EndpointSlice | None
    new: EndpointSlice | None


class _Watch:
    """An open watch: what is to be written to it."""

    __slots__ = ("_bookmarks", "_namespace", "_service", "lines", "transport")

    def __init__(self, request: SeenRequest, transport: asyncio.BaseTransport | None) -> None:
        self._namespace: Final = request.namespace
        self._service: Final = _service(request)
        self._bookmarks: Final = request.query.get("allowWatchBookmarks") == "true"
        self.lines: Final = asyncio.Queue[bytes | None](maxsize=10_000)
        self.transport: Final = transport

    def change(self, change: _Change) -> None:
        """Tell of a change, if it is of what is selected: a slice that ceases to match was deleted to this watch."""
        before = change.old if self._selects(change.old) else None
        now = change.new if self._selects(change.new) else None
        if now is not None:
            self.event("ADDED" if before is None else "MODIFIED", now.rendered(change.version))
        elif before is not None:
            self.event("DELETED", before.rendered(change.version))

    def event(self, kind: str, subject: Object) -> None:
        """Write an event."""
        self.lines.put_nowait(orjson.dumps({"type": kind, "object": subject}) + b"\n")

    def bookmark(self, version: int) -> None:
        """Write a BOOKMARK event, if bookmarks are wanted."""
        if self._bookmarks:
            self.event("BOOKMARK", {**KIND, "metadata": {"resourceVersion": str(version)}})

    def _selects(self, found: EndpointSlice | None) -> bool:
        return found is not None and (found.namespace, found.service) == (self._namespace, self._service)


class KubernetesApi:
    """The server's state, and what a test does to it."""

    def __init__(self, token: str = "") -> None:
        """Start with no slices.

        Args:
            token: what every request must bear, else 401; empty lets everybody in.
        """
        self.url = ""
        """Where it serves."""
        self.token = token
        self.forbidden = False
        """Whether nobody has the right to anything: 403."""
        self.broken = 0
        """How many of the next requests are answered with 500."""
        self.requests: Final[list[SeenRequest]] = []
        self._slices: dict[tuple[str, str], EndpointSlice] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._version = 1
        self._changes: list[_Change] = []
        self._oldest = 1
        self._watches: dict[int, _Watch] = {}
        self._turned = asyncio.Condition()

    # What a test does.

    def put(self, *slices: EndpointSlice) -> None:
        """Create these, or replace what has their names."""
        for found in slices:
            self._change((found.namespace, found.name), found)

    def delete(self, name: str, namespace: str = "default") -> None:
        """Delete a slice, if it is there."""
        if (namespace, name) in self._slices:
            self._change((namespace, name), None)

    def slices(self, service: str, namespace: str = "default") -> list[EndpointSlice]:
        """What there is of a service."""
        return [found for found in self._slices.values() if (found.namespace, found.service) == (namespace, service)]

    def bookmark(self) -> None:
        """Tell every watch that wants bookmarks how far it is."""
        self._version += 1
        for watch in self._watches.values():
            watch.bookmark(self._version)

    def compact(self) -> None:
        """Forget the past: who watches from an older version than the present one is answered 410 Gone."""
        self._version += 1
        self._oldest = self._version
        self._changes.clear()

    def error(self, code: int, reason: str, message: str) -> None:
        """Tell every watch of an error."""
        for watch in self._watches.values():
            watch.event("ERROR", _status(code, reason, message))

    def send(self, line: bytes) -> None:
        """Write bytes into every watch, such as a line that is no event."""
        for watch in self._watches.values():
            watch.lines.put_nowait(line)

    def end_watches(self) -> None:
        """End every watch in order, as the server does after `timeoutSeconds`."""
        for watch in self._watches.values():
            watch.lines.put_nowait(None)

    def break_watches(self) -> None:
        """Cut every watch's connection."""
        for watch in self._watches.values():
            if isinstance(watch.transport, asyncio.WriteTransport):
                watch.transport.abort()

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._watches)

    @property
    def lists(self) -> list[SeenRequest]:
        """The lists among the requests."""
        return [request for request in self.requests if not request.watch]

    async def until_watched(self, watches: int = 1) -> None:
        """Wait until exactly so many watches are open; the caller has a deadline."""
        async with self._turned:
            await self._turned.wait_for(lambda: len(self._watches) == watches)

    def _change(self, key: tuple[str, str], new: EndpointSlice | None) -> None:
        self._version += 1
        old = self._slices.pop(key, None)
        if new is not None:
            self._slices[key] = new
            self._versions[key] = self._version
        change = _Change(self._version, old, new)
        self._changes.append(change)
        for watch in self._watches.values():
            watch.change(change)

    # What a client does.

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a list or a watch."""
        seen = SeenRequest(
            request.match_info["namespace"], dict(request.query), request.headers.get("Authorization", "")
        )
        self.requests.append(seen)
        refused = self._refusal(seen)
        if refused is not None:
            return refused
        return await self._stream(request, seen) if seen.watch else self._list(seen)

    def _refusal(self, seen: SeenRequest) -> web.Response | None:
        if self.broken:
            self.broken -= 1
            return _refuse(500, "InternalError", "etcdserver: leader changed")
        if self.token and seen.authorization != f"Bearer {self.token}":
            return _refuse(401, "Unauthorized", "Unauthorized")
        if self.forbidden:
            return _refuse(403, "Forbidden", "endpointslices.discovery.k8s.io is forbidden")
        if "," in seen.query.get("labelSelector", "") or not _service(seen):
            return _refuse(400, "BadRequest", f"only the selector {SERVICE_LABEL}=<service> is known here")
        version = int(seen.query.get("resourceVersion") or 0)
        if version > self._version:
            return _refuse(504, "Timeout", f"Too large resource version: {version}, current: {self._version}")
        if seen.watch and 0 < version < self._oldest:
            return _refuse(410, "Expired", f"too old resource version: {version} ({self._oldest})")
        return None

    def _list(self, seen: SeenRequest) -> web.Response:
        body = {
            "kind": "EndpointSliceList",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"resourceVersion": str(self._version)},
            "items": self._rendered(seen),
        }
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    def _rendered(self, seen: SeenRequest) -> list[Object]:
        found = self.slices(_service(seen), seen.namespace)
        return [each.rendered(self._versions[each.namespace, each.name]) for each in found]

    async def _stream(self, request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = self._watches[id(request)] = _Watch(seen, request.transport)
        version = int(seen.query.get("resourceVersion") or 0)
        if version:
            for change in self._changes:
                if change.version > version:
                    watch.change(change)
        else:
            for found in self._rendered(seen):
                watch.event("ADDED", found)
        try:
            await self._tell()
            async with asyncio.timeout(float(seen.query.get("timeoutSeconds", 1800))):
                while (line := await watch.lines.get()) is not None:
                    await response.write(line)
        except TimeoutError:
            pass  # The watch has lasted as long as was asked.
        except ConnectionResetError:
            pass  # The client left.
        finally:
            del self._watches[id(request)]
            await self._tell()
        return response

    async def _tell(self) -> None:
        async with self._turned:
            self._turned.notify_all()

    def __repr__(self) -> str:
        return f"<KubernetesApi {self.url}, version {self._version}, {self.watching} watching>"


@asynccontextmanager
async def serving_kubernetes(token: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[KubernetesApi]:
    """Serve until the block ends.

    Args:
        token: what every request must bear; empty lets everybody in.
        tls: the server's certificate; None serves plain HTTP.
    """
    api = KubernetesApi(token)
    app = web.Application()
    app.router.add_get(_PATH, api.answer)
    # A client that goes ends its watch's handler with it.
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        scheme = "http" if tls is None else "https"
        api.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()


def _service(seen: SeenRequest) -> str:
    label, _, service = seen.query.get("labelSelector", "").partition("=")
    return service if label == SERVICE_LABEL else ""


def _status(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _refuse(code: int, reason: str, message: str) -> web.Response:
    body = orjson.dumps(_status(code, reason, message))
    return web.Response(status=code, body=body, content_type="application/json")
