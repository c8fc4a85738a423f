"""One HTTP request on its way to an answer, and the answers that are only a JSON body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request whose body was read."""

    request: web.BaseRequest
    request_id: str
    body: bytes


def json_response(
    exchange: Exchange, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer with a JSON body and the headers every answer of ours has."""
    return web.Response(body=body, status=status, headers=all_headers(exchange, JSON_TYPE, headers))


def all_headers(exchange: Exchange, content_type: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """`content-type`, `request-id`, and `more`."""
    headers = {"content-type": content_type, "request-id": exchange.request_id}
    if more:
        headers.update(more)
    return headers
