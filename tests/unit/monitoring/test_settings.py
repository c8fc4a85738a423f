import pytest

from libs.testing.settings import faults
from services.monitoring.settings import MonitoringSettings

GOOD = {"redis_url": "redis://127.0.0.1:6379/0", "auth_target": "dns:///auth:50051", "service_secret": "s"}


def test_the_addresses_of_redis_and_auth_are_all_that_is_needed() -> None:
    assert faults(MonitoringSettings, GOOD) == []
    assert len(faults(MonitoringSettings, {})) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("redis_url", "localhost:6379"),
        ("auth_target", ""),
        ("dashboard_window", 1),
        ("dashboard_window", 86401),
        ("dashboard_max_viewers", 0),
        ("batch_memory", 0),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(field: str, value: object) -> None:
    (fault,) = faults(MonitoringSettings, GOOD | {field: value})
    assert fault.startswith(f"AGENTMESH_{field.upper()}: ")


def test_the_dashboards_token_is_not_shown() -> None:
    settings = MonitoringSettings.model_validate(GOOD | {"dashboard_token": "tok-1"})
    assert "tok-1" not in repr(settings)
