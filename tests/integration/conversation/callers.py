"""Who calls a peer."""

import grpc

Context = grpc.aio.ServicerContext[object, object]


def bearer(context: Context) -> str:
    """Who a call says it is."""
    return str(dict(context.invocation_metadata() or ()).get("authorization", "")).removeprefix("Bearer ")
