"""The gate on Redis: one round trip of one script."""

from typing import Final

from libs.store.connection import Store
from libs.store.replies import Reply, array, blob, integer
from libs.store.script import Script, load
from services.auth.adapters.redis_names import key_record, limit_state, tenant_record
from services.auth.keys import tenant_of
from services.auth.limits import LimitDefaults
from services.auth.ports import GateAnswer, GateQuestion, HitLimit, Standing

_MICROS: Final = 1_000_000
_FIELDS_PER_HIT: Final = 4
# What carries no facts is made once.
_REFUSED: Final = {
    standing.value.encode(): GateAnswer(standing)
    for standing in (Standing.UNKNOWN, Standing.REVOKED, Standing.EXPIRED, Standing.DISABLED)
}


class RedisGate:
    """Runs `authorize.lua`.

    Args:
        store: where records and limits live.
        defaults: limits of tenants that have none of their own.
        fixed_now_micros: Unix microseconds to decide at, for tests of the arithmetic; None: Redis's own time.
    """

    def __init__(self, store: Store, defaults: LimitDefaults, fixed_now_micros: int | None = None) -> None:
        # A call that is sent twice, because the connection broke, may be counted twice; better than failing it.
        self._script: Final = Script(store, load(__package__, "authorize.lua"), idempotent=True)
        self._last_args: Final = (
            defaults.tenant_per_minute,
            defaults.user_per_minute,
            defaults.method_per_minute,
            defaults.burst_seconds,
            "" if fixed_now_micros is None else fixed_now_micros,
        )

    async def admit(self, question: GateQuestion) -> GateAnswer:
        """The script's answer."""
        tenant_id = tenant_of(question.key_id)
        keys = (
            key_record(tenant_id, question.key_id),
            tenant_record(tenant_id),
            limit_state(tenant_id, "tenant"),
            limit_state(tenant_id, "user:"),
            limit_state(tenant_id, "method:" + question.method),
        )
        asked = (question.digest, question.user_id, question.method, question.wanted_calls)
        reply = array(await self._script(keys, (*asked, *self._last_args)))
        standing = blob(reply[0])
        if standing == b"ADMITTED":
            scopes = frozenset(blob(reply[2]).decode().split())
            user_id, calls = blob(reply[1]).decode(), integer(reply[4])
            return GateAnswer(Standing.ADMITTED, user_id, scopes, integer(reply[3]), granted_calls=calls)
        if standing == b"LIMITED":
            return GateAnswer(Standing.LIMITED, hit=_hits(reply, tenant_id, question.method))
        return _REFUSED[standing]


def _hits(reply: list[Reply], tenant_id: str, method: str) -> tuple[HitLimit, ...]:
    subjects = (f"tenant:{tenant_id}", f"user:{blob(reply[1]).decode()}", f"method:{method}")
    hits = []
    for start in range(2, len(reply), _FIELDS_PER_HIT):
        number, per_minute, capacity, wait = (integer(item) for item in reply[start : start + _FIELDS_PER_HIT])
        hits.append(HitLimit(subjects[number - 1], per_minute, capacity, wait / _MICROS))
    return tuple(hits)
