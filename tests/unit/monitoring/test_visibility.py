from libs.core.context import Principal
from services.monitoring.aggregate import EVERYONE
from services.monitoring.visibility import visible_scope


def test_an_operator_sees_everyone() -> None:
    assert visible_scope(Principal("root", "", frozenset({"admin"}))) == EVERYONE


def test_others_see_their_tenant_whatever_else_they_may_do() -> None:
    assert visible_scope(Principal("ta", "u", frozenset({"chat", "tenant.admin", "metrics.read"}))) == "ta"
