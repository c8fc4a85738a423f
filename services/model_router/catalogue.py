"""Reading the catalogue: prices and limits are data, and data with a fault is not used at all."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from services.model_router.models import Catalogue, Model, PriceBand, TierRule
from services.model_router.prompt import Tier

_PROVIDERS: Final = frozenset({"anthropic"})
_MODEL_FIELDS: Final = frozenset(
    {"model", "provider", "context_tokens", "max_output_tokens", "prices", "temperature", "thinking"}
)
_PRICES: Final = ("input", "output", "cache_read", "cache_write")


class CatalogueError(ValueError):
    """The catalogue cannot be used. `faults` names every reason, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults: Final = tuple(faults)


def load(path: Path | None) -> Catalogue:
    """The catalogue in the file at `path`, or the one that comes with the service.

    Raises:
        CatalogueError: the file cannot be read or has faults.
    """
    source = path if path is not None else files("services.model_router") / "catalogue.toml"
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError([f"{source}: {error}"]) from error
    return parse(text)


def parse(text: str) -> Catalogue:
    """The catalogue that `text`, in TOML, describes.

    Raises:
        CatalogueError: naming every fault at once.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError([str(error)]) from error
    faults: list[str] = [f"{name}: unknown field" for name in document if name not in {"models", "tiers"}]
    models = _models(document.get("models"), faults)
    tiers = _tiers(document.get("tiers"), models, faults)
    if faults:
        raise CatalogueError(faults)
    return Catalogue(models, tiers)


def _models(entries: object, faults: list[str]) -> dict[str, Model]:
    models: dict[str, Model] = {}
    if not isinstance(entries, list) or not entries:
        faults.append("models: at least one is needed")
        return models
    for index, entry in enumerate(entries):
        table = _Table(entry, f"models[{index}]", faults)
        name = table.text("model")
        if name in models:
            table.fault("model", f"{name} stands there twice")
        models[name] = _model(name, table)
    return models


def _model(name: str, table: "_Table") -> Model:
    table.only(_MODEL_FIELDS)
    provider = table.text("provider")
    if provider and provider not in _PROVIDERS:
        table.fault("provider", f"must be one of {', '.join(sorted(_PROVIDERS))}")
    model = Model(
        name=name,
        provider=provider,
        context_tokens=table.number("context_tokens", 1),
        max_output_tokens=table.number("max_output_tokens", 1),
        prices=tuple(_bands(table)),
        temperature=table.flag("temperature"),
        thinking=table.text("thinking", required=False),
    )
    if model.max_output_tokens > model.context_tokens:
        table.fault("max_output_tokens", "must not be above context_tokens")
    return model


def _bands(table: "_Table") -> Iterator[PriceBand]:
    rows = table.tables("prices")
    longest = 0
    for index, row in enumerate(rows):
        row.only(frozenset({"up_to_prompt_tokens", *_PRICES}))
        last = index == len(rows) - 1
        up_to = None if last else row.number("up_to_prompt_tokens", longest + 1)
        if last and "up_to_prompt_tokens" in row.fields:
            row.fault("up_to_prompt_tokens", "the last band must cover every longer prompt, so it has none")
        longest = up_to or longest
        yield PriceBand(up_to, *(row.number(price, 0) for price in _PRICES))


def _tiers(entries: object, models: Mapping[str, Model], faults: list[str]) -> dict[Tier, TierRule]:
    table = _Table(entries, "tiers", faults)
    table.only(frozenset(tier.name.lower() for tier in Tier))
    return {
        tier: _rule(_Table(table.fields.get(tier.name.lower()), f"tiers.{tier.name.lower()}", faults), models)
        for tier in Tier
    }


def _rule(table: "_Table", models: Mapping[str, Model]) -> TierRule:
    table.only(frozenset({"models", "fallback"}))
    names = table.texts("models")
    if not names:
        table.fault("models", "at least one is needed")
    for name in names:
        if name not in models:
            table.fault("models", f"{name} is not among the models")
    known = {tier.name.lower(): tier for tier in Tier}
    fallback = table.texts("fallback")
    for name in fallback:
        if name not in known:
            table.fault("fallback", f"{name} is not one of {', '.join(known)}")
    return TierRule(names, tuple(known[name] for name in fallback if name in known))


class _Table:
    """A TOML table that is read field by field; what is wrong with it goes on the list of faults."""

    def __init__(self, value: object, where: str, faults: list[str]) -> None:
        self.fields: dict[str, object] = value if isinstance(value, dict) else {}
        self._where = where
        self._faults = faults
        if not isinstance(value, dict):
            faults.append(f"{where}: must be a table")

    def fault(self, field: str, problem: str) -> None:
        self._faults.append(f"{self._where}.{field}: {problem}")

    def only(self, known: frozenset[str]) -> None:
        for name in self.fields:
            if name not in known:
                self.fault(name, "unknown field")

    def text(self, field: str, *, required: bool = True) -> str:
        value = self.fields.get(field, "")
        if not isinstance(value, str) or (required and not value):
            self.fault(field, "must be a text" if required else "must be a text or left out")
            return ""
        return value

    def number(self, field: str, least: int) -> int:
        value = self.fields.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.fault(field, f"must be a whole number of at least {least}")
            return least
        return value

    def flag(self, field: str) -> bool:
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            self.fault(field, "must be true or false")
        return value is True

    def texts(self, field: str) -> tuple[str, ...]:
        value = self.fields.get(field, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(field, "must be a list of texts")
            return ()
        return tuple(value)

    def tables(self, field: str) -> list["_Table"]:
        value = self.fields.get(field)
        if not isinstance(value, list) or not value:
            self.fault(field, "must be a list of tables, at least one")
            return []
        return [_Table(item, f"{self._where}.{field}[{index}]", self._faults) for index, item in enumerate(value)]
