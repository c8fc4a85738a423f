"""Short ways to say a prompt."""

import json

from services.model_simulator.call import Call, Prompt, Turn
from services.model_simulator.parsing import parse_call

MODEL = "claude-haiku-4-5"


def prompt(*texts: str, system: str = "", model: str = MODEL) -> Prompt:
    """A conversation whose turns alternate, the user's first."""
    roles = ("user", "assistant")
    return Prompt(model, system, tuple(Turn(roles[index % 2], text) for index, text in enumerate(texts)))


def body(**fields: object) -> bytes:
    """A valid request with `fields` put over it; a field set to None is left out."""
    request: dict[str, object] = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        **fields,
    }
    return json.dumps({name: value for name, value in request.items() if value is not None}).encode()


def call(**fields: object) -> Call:
    """The call that `body(**fields)` asks for."""
    return parse_call(body(**fields))
