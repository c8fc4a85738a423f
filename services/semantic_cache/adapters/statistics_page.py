"""What a replica's layers hold, as JSON on the admin port."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import orjson
from aiohttp import web

Statistics: TypeAlias = Callable[[], NamedTuple]
"""Takes a snapshot."""


def statistics_route(parts: Mapping[str, Statistics]) -> web.RouteDef:
    """`GET /cache`: a snapshot of each part."""

    async def show(_: web.Request) -> web.Response:
        snapshot = {name: statistics()._asdict() for name, statistics in parts.items()}
        return web.Response(body=orjson.dumps(snapshot), content_type="application/json")

    return web.get("/cache", show)
