"""List and watch over HTTP: the two requests that following a service's EndpointSlices takes."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import orjson

from libs.mesh.resolver.endpoint_slices import ApiError
from libs.mesh.resolver.kubernetes_access import KubernetesAccess

_MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A slice has at most 1000 endpoints, of some hundred bytes each, and etcd takes no object above 1.5 MiB."""
_CONNECT_TIMEOUT: Final = 5.0
_LIST_TIMEOUT: Final = 30.0
_GRACE: Final = 10.0
"""Seconds of silence beyond a watch's own end after which the connection is taken for dead."""
_GONE: Final = 410
_LONGEST_REASON: Final = 200


class Lines:
    """Cuts a stream of bytes into lines."""

    __slots__ = ("_limit", "_rest", "_searched")

    def __init__(self, limit: int = _MAX_LINE_BYTES) -> None:
        """Start with nothing.

        Args:
            limit: bytes that no line may exceed.
        """
        self._limit: Final = limit
        self._rest = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their ends; empty ones are left out.

        Raises:
            ApiError: a line is longer than the limit.
        """
        self._rest += chunk
        # What was searched before holds no end of a line: a long one in small chunks would cost its square.
        if self._rest.find(b"\n", self._searched) < 0:
            self._searched = len(self._rest)
            if self._searched > self._limit:
                raise ApiError(f"a line of the watch is longer than {self._limit} bytes")
            return []
        *lines, rest = self._rest.split(b"\n")
        self._rest, self._searched = rest, len(rest)
        return [bytes(line) for line in lines if line.strip()]


class EndpointSlicesApi:
    """Asks an API server about the EndpointSlices of one service; every request reads the token again."""

    __slots__ = ("_access", "_namespace", "_path", "_selector", "_session")

    def __init__(self, session: aiohttp.ClientSession, access: KubernetesAccess, service: str, namespace: str) -> None:
        self._session: Final = session
        self._access: Final = access
        self._namespace: Final = namespace
        self._path: Final = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._selector: Final = f"kubernetes.io/service-name={service}"

    async def list(self, at_least: str) -> object:
        """The `EndpointSliceList` of the service.

        Args:
            at_least: a `resourceVersion` that the answer may not be older than; "0" takes whatever the server has in
                its cache, empty asks for the latest state.

        Raises:
            ApiError: the server answered with an error, or with something that is not JSON.
            aiohttp.ClientError, OSError, TimeoutError: it could not be asked.
        """
        query = {"resourceVersion": at_least} if at_least else {}
        timeout = aiohttp.ClientTimeout(total=_LIST_TIMEOUT, sock_connect=_CONNECT_TIMEOUT)
        async with self._get(query, timeout) as response:
            return _parse(await response.read())

    async def watch(self, version: str, seconds: int) -> AsyncGenerator[object, None]:
        """The events since `version`, as they come; ends without an error when the server ends the watch.

        Args:
            version: where to start, as a list or an event gave it.
            seconds: after how long the server is asked to end the watch.

        Raises:
            ApiError: the server answered with an error, or with something that is not JSON.
            aiohttp.ClientError, OSError, TimeoutError: the connection failed, or went silent.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=seconds + _GRACE)
        async with self._get(query, timeout) as response:
            lines = Lines()
            async for chunk in response.content.iter_any():
                for line in lines.feed(chunk):
                    yield _parse(line)

    @asynccontextmanager
    async def _get(
        self, query: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        token = self._token()
        async with self._session.get(
            self._access.url.rstrip("/") + self._path,
            params={"labelSelector": self._selector, **query},
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            # The token is for this server alone.
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise ApiError(await self._explain(response), gone=response.status == _GONE)
            yield response

    def _token(self) -> str:
        try:
            token = self._access.token()
        except (OSError, UnicodeDecodeError) as error:
            raise ApiError(f"cannot read the token in {self._access.token_file}: {error}") from error
        if not (token.isascii() and token.isprintable()):
            raise ApiError(f"what stands in {self._access.token_file} is not a token")
        return token

    async def _explain(self, response: aiohttp.ClientResponse) -> str:
        text = f"{self._access.url} answered {response.status} {response.reason}"
        if response.status == 401:
            return f"{text}: the token in {self._access.token_file or '(no file is set)'} is missing or not accepted"
        if response.status == 403:
            return (
                f"{text}: the ServiceAccount needs a Role that allows list and watch of endpointslices "
                f"(apiGroup discovery.k8s.io) in namespace {self._namespace!r}, and a RoleBinding to it"
            )
        reason = _message(await response.content.read(64 * 1024))
        return f"{text}: {reason}" if reason else text


@asynccontextmanager
async def connect(access: KubernetesAccess, service: str, namespace: str) -> AsyncIterator[EndpointSlicesApi]:
    """An API of its own session, closed with the block.

    Raises:
        ApiError: the certificates cannot be read.
    """
    tls = _tls(access) if access.secure else True
    # One list and one watch, one after the other; nothing else uses the session.
    connector = aiohttp.TCPConnector(ssl=tls, limit=2)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Accept": "application/json", "User-Agent": "agentmesh"}
    ) as session:
        yield EndpointSlicesApi(session, access, service, namespace)


def _tls(access: KubernetesAccess) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=access.ca_file or None)
    except OSError as error:
        raise ApiError(f"cannot use the certificates in {access.ca_file}: {error}") from error


def _parse(text: bytes) -> object:
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(f"the API server sent what is not JSON: {error}") from error
    return found


def _message(body: bytes) -> str:
    """What the server's `Status` says."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return message[:_LONGEST_REASON] if isinstance(message, str) else ""
