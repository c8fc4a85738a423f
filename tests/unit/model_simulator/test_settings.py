import pytest

from libs.testing.settings import faults
from services.model_simulator.settings import SimulatorSettings


def test_defaults_start_a_fast_simulator_on_loopback() -> None:
    settings = SimulatorSettings.model_validate({})
    assert (settings.host, settings.port) == ("127.0.0.1", 0)
    assert "claude-haiku-4-5" in settings.model_ids
    assert settings.first_token_median_ms == 0
    assert settings.requests_per_minute == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "8080"),
        ("address", "127.0.0.1:x"),
        ("address", "127.0.0.1:70000"),
        ("accepted_models", " , "),
        ("requests_per_minute", -1),
        ("first_token_sigma", 9),
    ],
)
def test_refuses_what_cannot_work(name: str, value: object) -> None:
    assert faults(SimulatorSettings, {name: value})
