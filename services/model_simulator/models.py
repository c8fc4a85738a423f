"""GET /v1/models: the catalogue, as the SDK's `models.list` pages through it."""

from urllib.parse import unquote

from aiohttp import web

from services.model_simulator import wire
from services.model_simulator.catalogue import Catalogue, Model
from services.model_simulator.errors import bad_request
from services.model_simulator.exchange import Exchange, json_response
from services.model_simulator.messages import organisation_for

PATH = "/v1/models"
_MAX_LIMIT = 1000


class ModelsEndpoint:
    """Lists the models and shows one."""

    __slots__ = ("_catalogue",)

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def list(self, exchange: Exchange) -> web.StreamResponse:
        """One page: `limit` models after `after_id` or before `before_id`."""
        organisation_for(exchange)
        query = exchange.request.query
        limit = _limit(query.get("limit", "20"))
        models = self._catalogue.all()
        if "after_id" in query:
            models = models[self._position(models, query["after_id"]) + 1 :]
        elif "before_id" in query:
            models = models[: self._position(models, query["before_id"])]
            page = models[-limit:]
            return json_response(exchange, wire.model_list(page, has_more=len(models) > limit))
        return json_response(exchange, wire.model_list(models[:limit], has_more=len(models) > limit))

    async def get(self, exchange: Exchange) -> web.StreamResponse:
        """One model, or 404."""
        organisation_for(exchange)
        model_id = unquote(exchange.request.path.removeprefix(PATH + "/"))
        return json_response(exchange, wire.model_body(self._catalogue.require(model_id)))

    def _position(self, models: tuple[Model, ...], model_id: str) -> int:
        return models.index(self._catalogue.require(model_id))


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_LIMIT:
        raise bad_request(f"limit: must be an integer from 1 to {_MAX_LIMIT}")
    return int(text)
