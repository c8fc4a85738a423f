import pytest

from services.semantic_cache.policies import Policies, TenantPolicy

POLICIES = Policies(TenantPolicy(0.02, 100.0), {"strict": TenantPolicy(0.01, 50.0)})


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.51, float("nan"), float("inf")])
def test_a_rate_that_bounds_nothing_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="max_wrong_rate"):
        TenantPolicy(rate, 1.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_life_has_an_end(seconds: float) -> None:
    with pytest.raises(ValueError, match="ttl_seconds"):
        TenantPolicy(0.02, seconds)


def test_a_tenant_without_rules_of_its_own_has_everybodys() -> None:
    assert POLICIES.of("anybody") == TenantPolicy(0.02, 100.0)
    assert POLICIES.of("strict") == TenantPolicy(0.01, 50.0)


@pytest.mark.parametrize(
    ("tenant", "asked", "applied"),
    [("anybody", 0.0, 0.02), ("anybody", 0.01, 0.01), ("anybody", 0.5, 0.02), ("strict", 0.02, 0.01)],
)
def test_a_request_can_only_be_stricter(tenant: str, asked: float, applied: float) -> None:
    assert POLICIES.max_wrong_rate(tenant, asked) == applied
