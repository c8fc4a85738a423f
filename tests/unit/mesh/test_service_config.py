import pytest

from libs.core.errors import Code
from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.options import MeshOptions
from libs.mesh.service_config import MethodConfig, parse_service_config

POLICY: dict[str, object] = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 1.5,
    "retryableStatusCodes": ["UNAVAILABLE", 8],
}


def test_the_default_retries_unavailable_everywhere() -> None:
    retry = MeshOptions().methods.of("/any.Service/Method").retry
    assert retry is not None
    assert retry.codes == {Code.UNAVAILABLE}
    assert (retry.max_attempts, retry.backoff.initial, retry.backoff.maximum) == (3, 0.02, 1.0)


def test_the_most_specific_name_wins() -> None:
    config = parse_service_config(
        {
            "methodConfig": [
                {"name": [{}], "timeout": "3s"},
                {"name": [{"service": "a.B"}], "timeout": "2s"},
                {"name": [{"service": "a.B", "method": "C"}], "waitForReady": True, "retryPolicy": POLICY},
            ]
        }
    )
    exact = config.of("/a.B/C")
    assert exact.wait_for_ready is True
    assert exact.retry is not None
    assert exact.retry.codes == {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED}
    assert config.of("/a.B/D").timeout == 2.0
    assert config.of("/a.X/C").timeout == 3.0
    assert parse_service_config({}).of("/a.B/C") == MethodConfig()


def test_names_every_fault_by_its_path() -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        MeshOptions(
            service_config={
                "loadBalancingConfig": [],
                "methodConfig": [
                    {"name": [], "timeout": "soon", "waitForReady": 1, "hedgingPolicy": {}},
                    {"name": [{"method": "M"}], "retryPolicy": {"maxAttempts": 3}},
                    {
                        "name": [{}],
                        "retryPolicy": POLICY
                        | {
                            "maxAttempts": 1,
                            "initialBackoff": "5s",
                            "backoffMultiplier": 0,
                            "retryableStatusCodes": ["NOPE", 99, "OK"],
                        },
                    },
                    {"name": [{}]},
                ],
            }
        )
    text = "\n".join(raised.value.faults)
    for fault in (
        "loadBalancingConfig: is not supported",
        "methodConfig[0].name: must name at least one service",
        "methodConfig[0].timeout: must be a positive duration",
        "methodConfig[0].waitForReady: must be true or false",
        "methodConfig[0].hedgingPolicy: is not supported",
        "methodConfig[1].name[0]: a method needs its service",
        "methodConfig[1].retryPolicy.initialBackoff: is required",
        "methodConfig[2].retryPolicy.maxAttempts: must be an integer of at least 2",
        "methodConfig[2].retryPolicy.backoffMultiplier: must be a number of at least 1",
        "methodConfig[2].retryPolicy.initialBackoff: must not exceed maxBackoff",
        "'NOPE' is not a status code",
        "99 is not a status code",
        "OK is not a failure",
        "every method is configured twice",
    ):
        assert fault in text


def test_options_name_every_fault() -> None:
    with pytest.raises(InvalidConfigurationError, match=r"default_timeout.*dns_refresh"):
        MeshOptions(default_timeout=0, dns_refresh=-1)
