"""Auth's domain on a store in memory that keeps the ports' promises."""

from dataclasses import dataclass, replace
from typing import TypeVar

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.auth.adapters.token_reader import OwnTokenReader
from services.auth.admission import Admission
from services.auth.exchange import Exchange
from services.auth.keys import KeyMint
from services.auth.limits import TICKS_PER_SECOND, Gcra, LimitDefaults, RateLimits, admit, ticks
from services.auth.pages import PageTokens
from services.auth.ports import Directory, Gate, GateAnswer, GateQuestion, HitLimit, KeyPage, Origin, Standing, Taken
from services.auth.records import ApiKey, Tenant
from services.auth.registry import Registry
from services.auth.signing import signing_keys
from services.auth.tokens import InternalTokens, TokenSigner

PEPPER = b"pepper that is long enough for all tests"
SEED = bytes(range(32))
ROOT_KEY = "root-key-that-is-long-enough-for-all-tests"
SERVICE_SECRET = "service-secret-that-is-long-enough-for-tests"
DEFAULTS = LimitDefaults(tenant_per_minute=600, user_per_minute=60, method_per_minute=0, burst_seconds=10)
START = 1_800_000_000.0

T = TypeVar("T")


class FakeStore(Gate, Directory):
    """Gate and directory over the same dictionaries."""

    def __init__(self, clock: ManualClock, defaults: LimitDefaults = DEFAULTS) -> None:
        self.asked: list[GateQuestion] = []
        self.down = False
        self.disabled: set[str] = set()
        self._clock = clock
        self._defaults = defaults
        self._tenants: dict[str, tuple[Tenant, Origin]] = {}
        self._keys: dict[str, tuple[ApiKey, bytes, Origin]] = {}
        self._tats: dict[str, int] = {}

    async def admit(self, question: GateQuestion) -> GateAnswer:
        self._alive()
        self.asked.append(question)
        found = self._keys.get(question.key_id)
        if found is None or (question.digest and question.digest != found[1]):
            return GateAnswer(Standing.UNKNOWN)
        key = found[0]
        if key.revoke_time_ms:
            return GateAnswer(Standing.REVOKED)
        if key.expire_time_ms and key.expire_time_ms <= self._now_ms():
            return GateAnswer(Standing.EXPIRED)
        if key.tenant_id in self.disabled:
            return GateAnswer(Standing.DISABLED)
        user_id = key.user_id if question.digest else question.user_id
        calls, hit = self._take(key.tenant_id, user_id, question.method, question.wanted_calls)
        if hit:
            return GateAnswer(Standing.LIMITED, hit=hit)
        return GateAnswer(Standing.ADMITTED, user_id, key.scopes, key.expire_time_ms, granted_calls=calls)

    async def create_tenant(
        self, tenant_id: str, display_name: str, limits: RateLimits, origin: Origin
    ) -> Tenant | Taken:
        self._alive()
        made = self._tenants.setdefault(tenant_id, (Tenant(tenant_id, display_name, limits, self._now_ms()), origin))
        return _recognised(made[0], made[1], origin)

    async def get_tenant(self, tenant_id: str) -> Tenant | None:
        self._alive()
        return self._tenants[tenant_id][0] if tenant_id in self._tenants else None

    async def create_key(self, key: ApiKey, digest: bytes, origin: Origin) -> tuple[ApiKey, bool] | Taken:
        self._alive()
        if key.tenant_id not in self._tenants:
            return Taken.NO_TENANT
        is_new = key.key_id not in self._keys
        if is_new:
            self._keys[key.key_id] = (replace(key, create_time_ms=self._now_ms()), digest, origin)
        made = self._keys[key.key_id]
        found = _recognised(made[0], made[2], origin)
        return found if isinstance(found, Taken) else (found, is_new)

    async def list_keys(self, tenant_id: str, cursor: str, size: int) -> KeyPage | None:
        self._alive()
        if tenant_id not in self._tenants:
            return None
        keys = [key for key, _, _ in self._keys.values() if key.tenant_id == tenant_id]
        start = int(cursor or 0)
        return KeyPage(keys[start : start + size], str(start + size) if len(keys) > start + size else "")

    async def revoke_key(self, key_id: str) -> ApiKey | None:
        self._alive()
        if key_id not in self._keys:
            return None
        key, digest, origin = self._keys[key_id]
        revoked = replace(key, revoke_time_ms=key.revoke_time_ms or self._now_ms())
        self._keys[key_id] = (revoked, digest, origin)
        return revoked

    def _take(self, tenant_id: str, user_id: str, method: str, calls: int) -> tuple[int, tuple[HitLimit, ...]]:
        own, defaults = self._tenants[tenant_id][0].limits, self._defaults
        wanted = {
            f"tenant:{tenant_id}": own.tenant_per_minute or defaults.tenant_per_minute,
            f"user:{user_id}": (own.user_per_minute or defaults.user_per_minute) if user_id else 0,
            f"method:{method}": own.method_per_minute.get(method, 0) or defaults.method_per_minute,
        }
        subjects = [subject for subject, per_minute in wanted.items() if per_minute]
        limits = [Gcra.of(wanted[subject], defaults.burst_seconds) for subject in subjects]
        states = [f"{tenant_id}:{subject}" for subject in subjects]
        now = ticks(int(self._clock.time() * 1e6))
        decided = admit(limits, [self._tats.get(state, 0) for state in states], now, calls)
        self._tats.update(zip(states, decided.tats, strict=True))
        return decided.calls, tuple(
            HitLimit(subject, wanted[subject], limit.capacity, wait / TICKS_PER_SECOND)
            for subject, limit, wait in zip(subjects, limits, decided.waits, strict=True)
            if wait
        )

    def _now_ms(self) -> int:
        return int(self._clock.time() * 1000)

    def _alive(self) -> None:
        if self.down:
            raise MeshError(Reason.STORE_UNAVAILABLE, retry_after=1.0)


def _recognised(made: T, before: Origin, now: Origin) -> T | Taken:
    if before.request_id != now.request_id:
        return Taken.ID_TAKEN
    return made if before == now else Taken.REQUEST_REUSED


@dataclass(frozen=True, slots=True)
class House:
    """Auth's domain on fakes."""

    clock: ManualClock
    store: FakeStore
    mint: KeyMint
    signer: TokenSigner
    reader: OwnTokenReader
    admission: Admission
    exchange: Exchange
    registry: Registry


def house() -> House:
    """A fresh one."""
    clock = ManualClock(epoch=START)
    store = FakeStore(clock)
    keys = signing_keys(SEED)
    mint = KeyMint(PEPPER)
    signer = TokenSigner(keys, clock)
    reader = OwnTokenReader(keys.jwks_json, clock)
    admission = Admission(store, mint, ROOT_KEY, reader, InternalTokens(signer, clock, 600))
    return House(
        clock=clock,
        store=store,
        mint=mint,
        signer=signer,
        reader=reader,
        admission=admission,
        exchange=Exchange(admission, signer, SERVICE_SECRET, 900),
        registry=Registry(store, mint, PageTokens(PEPPER), clock),
    )
