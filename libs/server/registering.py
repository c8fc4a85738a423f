"""A server that puts the chain around every handler as it is registered."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import grpc

from libs.server.call import Stage
from libs.server.chain import MethodHandler, compose
from libs.server.spec import MethodPolicy


class ChainedServer(grpc.aio.Server):
    """Decorates a server; generated `add_..._to_server` functions take it for one.

    An interceptor would be asked for every call which handler to use; wrapping at registration asks once.

    Args:
        server: the real one.
        chain: the stages from the outside in.
        policies: by full method name.
    """

    def __init__(self, server: grpc.aio.Server, chain: Sequence[Stage], policies: Mapping[str, MethodPolicy]) -> None:
        self._server: Final = server
        self._chain = chain
        self._policies = policies
        self._registered: set[str] = set()
        self._unprotected: list[str] = []

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, MethodHandler]) -> None:
        """Wrap and register the methods of one service; those without a policy wait for `check` to complain."""
        wrapped: dict[str, MethodHandler] = {}
        for name, handler in method_handlers.items():
            method = f"/{service_name}/{name}"
            self._registered.add(method)
            policy = self._policies.get(method)
            if policy is None:
                self._unprotected.append(method)
            else:
                wrapped[name] = compose(self._chain, method, policy, handler)
        # To be looked up when called. A handler registered with C-core has a request of its own waiting for it, and
        # grpc.aio waits for all of them anew with every call: 40 us more for a server of a dozen methods.
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, wrapped),))

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Generated code registers everything twice; this way would go around the chain, so it leads nowhere."""

    def check(self) -> None:
        """Hold policies and methods against each other.

        Raises:
            ValueError: naming each method without a policy and each policy without a method.
        """
        unused = sorted(set(self._policies) - self._registered)
        faults = [f"{method} has no MethodPolicy" for method in sorted(self._unprotected)]
        faults += [f"the MethodPolicy of {method} has no method" for method in unused]
        if faults:
            raise ValueError("; ".join(faults))

    def add_insecure_port(self, address: str) -> int:
        """As the real server does."""
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """As the real server does."""
        return self._server.add_secure_port(address, server_credentials)

    async def start(self) -> None:
        """As the real server does."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """As the real server does."""
        await self._server.stop(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """As the real server does."""
        return await self._server.wait_for_termination(timeout)
