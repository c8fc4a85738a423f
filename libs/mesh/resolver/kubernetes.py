"""`k8s:///service.namespace:port`: one endpoint per pod behind a service, as the cluster itself knows them.

A change reaches the caller within milliseconds of the API server's knowing it, with each pod's zone, and a terminating
pod is left before it stops; DNS tells the one late and the other never.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import aiohttp

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.backoff import Backoff
from libs.mesh.resolver.base import ResolvedSet
from libs.mesh.resolver.endpoint_slices import ApiError, EndpointSlices, MalformedObjectError
from libs.mesh.resolver.kubernetes_access import KubernetesAccess
from libs.mesh.resolver.kubernetes_api import EndpointSlicesApi, connect

# client-go's reflector: 0.8 s to 30 s.
_BACKOFF: Final = Backoff(initial=0.8, maximum=30.0, multiplier=2.0, jitter=0.5)
# client-go asks for 5 to 10 minutes and relies on HTTP/2 pings to notice a connection that died silently. There are
# none over HTTP/1.1, so a watch's end is what bounds how long an old set can stay.
_WATCH_SECONDS: Final = (90.0, 150.0)
_SHORTEST_WATCH: Final = 1.0
_TROUBLES: Final = (ApiError, MalformedObjectError, aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class KubernetesStatistics:
    """A snapshot of a resolver."""

    lists: int
    watches: int
    events: int
    failures: int
    last_error: str
    """The latest failure, empty if it has been overcome."""


class KubernetesResolver:
    """Lists the EndpointSlices of a service, then watches them; a failure keeps the last good set.

    Whatever goes wrong has one remedy: to wait a little, connect anew and list again. One follows it at a time.
    """

    def __init__(
        self,
        service: str,
        namespace: str | None,
        port: str,
        access: KubernetesAccess,
        clock: Clock,
        rng: Rng,
        failed: Callable[[str], None],
    ) -> None:
        """Make a resolver; nobody is asked before `updates` is iterated.

        Args:
            service: the Service's name.
            namespace: where it is; None stands for the pod's own namespace.
            port: the pods' port: a number, or the name that it has in the EndpointSlices.
            access: how to reach the API server.
            clock: what sleeps between tries.
            rng: the source of jitter.
            failed: told of every failure, and once if no pod has the port.

        Raises:
            InvalidConfigurationError: no namespace is given, and there is none to be found.
        """
        self._service: Final = service
        self._namespace: Final = namespace or access.namespace()
        self._port: Final = port
        self._access: Final = access
        self._clock: Final = clock
        self._rng: Final = rng
        self._failed: Final = failed
        self._slices: Final = EndpointSlices(port)
        self._tries = 0
        self._lists = 0
        self._watches = 0
        self._events = 0
        self._failures = 0
        self._last_error = ""
        self._unknown_port = ""

    @property
    def authority(self) -> str:
        """`service.namespace.svc`, the name by which the service's certificates know it."""
        return f"{self._service}.{self._namespace}.svc"

    def known(self) -> None:
        """Nothing is known without asking."""
        return

    async def updates(self) -> AsyncGenerator[ResolvedSet, None]:
        """Every set that differs from the one before; an empty one if the first try fails, or there is no such service.

        The connection is closed with the iterator (`contextlib.aclosing`), or when the task that iterates is cancelled.
        """
        current: ResolvedSet | None = None
        at_least = "0"
        while True:
            try:
                async with (
                    connect(self._access, self._service, self._namespace) as api,
                    aclosing(self._changes(api, at_least)) as changes,
                ):
                    async for found in changes:
                        at_least = self._slices.version
                        if found != current:
                            current = found
                            yield current
            except _TROUBLES as error:
                # Never back in time (client-go's rule), unless it is the version that the server cannot answer for.
                at_least = "" if isinstance(error, ApiError) else at_least
                self._note(error)
            if current is None:
                current = ()
                yield current
            await self._clock.sleep(_BACKOFF.delay(self._tries, self._rng))
            self._tries += 1

    def statistics(self) -> KubernetesStatistics:
        """A snapshot of the counts."""
        return KubernetesStatistics(self._lists, self._watches, self._events, self._failures, self._last_error)

    async def _changes(self, api: EndpointSlicesApi, at_least: str) -> AsyncGenerator[ResolvedSet, None]:
        """The set after the list and after every event, until one of the troubles is raised."""
        self._lists += 1
        self._slices.replace(await api.list(at_least))
        self._last_error = ""
        self._check_port()
        yield self._slices.endpoints()
        while True:
            began, events_before = self._clock.monotonic(), self._events
            self._watches += 1
            async with aclosing(api.watch(self._slices.version, round(self._rng.uniform(*_WATCH_SECONDS)))) as events:
                async for event in events:
                    self._slices.apply(event)
                    self._events += 1
                    self._tries = 0
                    self._check_port()
                    yield self._slices.endpoints()
            if self._events == events_before and self._clock.monotonic() - began < _SHORTEST_WATCH:
                raise ApiError("the watch ended at once and brought nothing")
            self._tries = 0

    def _check_port(self) -> None:
        text = self._slices.unknown_port()
        if text and text != self._unknown_port:
            self._failed(f"{self.authority}: {text}")
        self._unknown_port = text

    def _note(self, error: Exception) -> None:
        if isinstance(error, ApiError) and error.gone:
            return
        self._failures += 1
        self._last_error = str(error) or type(error).__name__
        self._failed(self._last_error)

    def __repr__(self) -> str:
        trouble = f", failing: {self._last_error}" if self._last_error else ""
        return (
            f"<KubernetesResolver {self.authority}:{self._port}, {self._lists} lists, {self._events} events{trouble}>"
        )
