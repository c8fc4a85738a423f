import pytest

from libs.core.errors import Code
from libs.mesh.faults import InvalidConfigurationError
from libs.mesh.options import MeshOptions
from libs.mesh.picker.policies import PolicyName
from libs.mesh.service_config import HedgingPolicy, MethodConfig, ServiceConfig, parse_service_config

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


def method(**entry: object) -> dict[str, object]:
    return {"methodConfig": [{"name": [{}], **entry}]}


def faults(config: dict[str, object] | str) -> str:
    with pytest.raises(InvalidConfigurationError) as raised:
        parse_service_config(config)
    return "\n".join(raised.value.faults)


def test_hedging() -> None:
    policy = {"maxAttempts": 9, "hedgingDelay": "0.05s", "nonFatalStatusCodes": ["UNAVAILABLE", "ABORTED"]}
    config = parse_service_config(method(hedgingPolicy=policy)).of("/a.B/C")
    assert config.hedging == HedgingPolicy(5, 0.05, frozenset({Code.UNAVAILABLE, Code.ABORTED}))
    assert config.retry is None
    least = parse_service_config(method(hedgingPolicy={"maxAttempts": 2})).of("/a.B/C")
    assert least.hedging == HedgingPolicy(2)


def test_an_attempts_own_timeout() -> None:
    retry = parse_service_config(method(retryPolicy=POLICY | {"perAttemptRecvTimeout": "0.5s"})).of("/a.B/C").retry
    assert retry is not None
    assert retry.attempt_timeout == 0.5
    assert "perAttemptRecvTimeout: must be a positive" in faults(
        method(retryPolicy=POLICY | {"perAttemptRecvTimeout": "0s"})
    )


@pytest.mark.parametrize(
    ("balancing", "policy"),
    [
        ([{"round_robin": {}}], "round_robin"),
        ([{"peak_ewma": {}}, {"round_robin": {}}], "peak_ewma"),
        ([{"xds_experimental": {"anything": 1}}, {"least_request_experimental": {"choiceCount": 2}}], "least_request"),
        ([{"ring_hash_experimental": {}}], "ring_hash"),
    ],
)
def test_the_first_known_policy_wins(balancing: list[dict[str, object]], policy: PolicyName) -> None:
    assert parse_service_config({"loadBalancingConfig": balancing}) == ServiceConfig(policy=policy)


def test_without_a_balancing_config_nothing_is_said() -> None:
    assert parse_service_config({}).policy is None


@pytest.mark.parametrize(
    ("balancing", "fault"),
    [
        ([], "loadBalancingConfig: names none of round_robin"),
        ([{"pick_first": {}}], "loadBalancingConfig: names none of round_robin"),
        ({}, "loadBalancingConfig: must be a list"),
        ([{}], "loadBalancingConfig[0]: must have one key"),
        ([{"round_robin": {}, "peak_ewma": {}}], "loadBalancingConfig[0]: must have one key"),
        ([{"round_robin": None}], "loadBalancingConfig[0].round_robin: must be an object"),
        ([{"round_robin": {"x": 1}}], "loadBalancingConfig[0].round_robin.x: is not supported"),
        ([{"least_request_experimental": {"choiceCount": 5}}], "least_request_experimental.choiceCount: must be 2"),
        # Ours has points per endpoint, so that who leaves moves nobody else's keys.
        ([{"ring_hash_experimental": {"minRingSize": 1024}}], "minRingSize: is not supported"),
    ],
)
def test_names_faults_of_balancing(balancing: object, fault: str) -> None:
    assert fault in faults({"loadBalancingConfig": balancing})


def test_reads_json_text() -> None:
    text = '{"methodConfig": [{"name": [{"service": "a.B"}], "timeout": "2s"}]}'
    assert parse_service_config(text).of("/a.B/C").timeout == 2.0
    assert "line 2 column 3: is not JSON" in faults("{\n  methodConfig: []}")
    assert "must be an object" in faults("[]")


def test_throttling_is_named_as_what_it_is_here() -> None:
    assert "retryThrottling: is not supported: the channel's budget" in faults(
        {"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}}
    )


def test_retries_and_hedges_exclude_each_other() -> None:
    both = method(retryPolicy=POLICY, hedgingPolicy={"maxAttempts": 2})
    assert "methodConfig[0]: retryPolicy and hedgingPolicy exclude each other" in faults(both)


def test_names_every_fault_by_its_path() -> None:
    with pytest.raises(InvalidConfigurationError) as raised:
        MeshOptions(
            service_config={
                "healthCheckConfig": {},
                "methodConfig": [
                    {"name": [], "timeout": "soon", "waitForReady": 1, "hedgingPolicy": {"hedgingDelay": 1}},
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
                    {
                        "name": [{"service": 1}],
                        "hedgingPolicy": {"maxAttempts": True, "hedgingDelay": "-1s", "nonFatalStatusCodes": "ALL"},
                    },
                    {"name": [{}], "retryPolicy": 3, "hedgingPolicy": []},
                ],
            }
        )
    text = "\n".join(raised.value.faults)
    for fault in (
        "healthCheckConfig: is not supported",
        "methodConfig[0].name: must name at least one service",
        "methodConfig[0].timeout: must be a positive duration",
        "methodConfig[0].waitForReady: must be true or false",
        "methodConfig[0].hedgingPolicy.maxAttempts: is required",
        "methodConfig[1].name[0]: a method needs its service",
        "methodConfig[1].retryPolicy.initialBackoff: is required",
        "methodConfig[2].retryPolicy.maxAttempts: must be an integer of at least 2",
        "methodConfig[2].retryPolicy.backoffMultiplier: must be a number of at least 1",
        "methodConfig[2].retryPolicy.initialBackoff: must not exceed maxBackoff",
        "'NOPE' is not a status code",
        "99 is not a status code",
        "OK is not a failure",
        "methodConfig[3].name[0]: service and method must be strings",
        "methodConfig[3].hedgingPolicy.maxAttempts: must be an integer of at least 2",
        "methodConfig[3].hedgingPolicy.hedgingDelay: must be a duration",
        "methodConfig[3].hedgingPolicy.nonFatalStatusCodes: must be a non-empty list",
        "methodConfig[4].retryPolicy: must be an object",
        "methodConfig[4].hedgingPolicy: must be an object",
        "every method is configured twice",
    ):
        assert fault in text


def test_options_name_every_fault() -> None:
    with pytest.raises(InvalidConfigurationError, match=r"default_timeout.*dns_refresh"):
        MeshOptions(default_timeout=0, dns_refresh=-1)
