import asyncio
from collections.abc import Callable, Generator
from typing import NamedTuple, cast

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.errors import Code
from libs.core.rng import new_rng
from libs.mesh.calls.unary_unary import UnaryUnaryMethod
from libs.mesh.channel import MeshChannel
from libs.mesh.hedge import HedgePlan
from libs.mesh.options import MeshOptions
from libs.mesh.retry import Failure
from libs.mesh.service_config import HedgingPolicy
from libs.testing.clock import ManualClock

POLICY = HedgingPolicy(3, 0.1, frozenset({Code.UNAVAILABLE}))


def sent(policy: HedgingPolicy = POLICY, expires_at: float = 30.0) -> HedgePlan:
    plan = HedgePlan(policy, expires_at)
    plan.sent(0.0)
    return plan


def test_one_attempt_per_delay_up_to_the_limit() -> None:
    plan = sent()
    assert plan.due == 0.1
    plan.sent(0.1)
    assert plan.due == pytest.approx(0.2)
    plan.sent(0.2)
    assert plan.due is None
    assert "complete after 3 of 3" in repr(plan)


def test_a_non_fatal_failure_brings_the_next_one_forward() -> None:
    plan = sent()
    assert plan.failed(Failure(Code.UNAVAILABLE), 0.03)
    assert plan.due == 0.03
    plan.sent(0.03)
    assert plan.due == pytest.approx(0.13)


def test_a_fatal_failure_decides() -> None:
    plan = sent()
    assert not plan.failed(Failure(Code.NOT_FOUND), 0.03)
    assert plan.due is None


@pytest.mark.parametrize(("pushback", "due"), [("50", 0.08), ("500", 0.53), ("0", 0.03), ("-1", None), ("x", None)])
def test_pushback_moves_or_stops_the_rest(pushback: str, due: float | None) -> None:
    plan = sent()
    assert plan.failed(Failure(Code.UNAVAILABLE, pushback=pushback), 0.03)
    assert plan.due == (None if due is None else pytest.approx(due))


def test_what_stopped_stays_stopped() -> None:
    plan = sent()
    plan.failed(Failure(Code.UNAVAILABLE, pushback="-1"), 0.03)
    assert plan.failed(Failure(Code.UNAVAILABLE), 0.04)
    assert plan.due is None
    assert "stopped" in repr(plan)


def test_retry_info_is_for_the_caller() -> None:
    plan = sent()
    assert plan.failed(Failure(Code.UNAVAILABLE, handed_back=True), 0.03)
    assert plan.due is None


def test_nothing_is_due_at_or_after_the_deadline() -> None:
    plan = sent(expires_at=0.1)
    assert plan.due is None
    assert plan.failed(Failure(Code.UNAVAILABLE), 0.05)
    assert plan.due == 0.05  # a failure leaves time for another attempt
    assert plan.failed(Failure(Code.UNAVAILABLE, pushback="60"), 0.05)
    assert plan.due is None


def test_without_a_delay_all_are_due_at_once() -> None:
    plan = sent(HedgingPolicy(2))
    assert plan.due == 0.0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["sent", "failed"]),
        st.floats(0, 0.5),
        st.sampled_from([None, "0", "70", "-1"]),
        st.booleans(),
    ),
    max_size=20,
)


@given(EVENTS, st.integers(2, 5), st.floats(0, 1), st.floats(0.1, 3))
def test_never_more_attempts_than_allowed_and_none_too_late(
    events: list[tuple[str, float, str | None, bool]], attempts: int, delay: float, expires_at: float
) -> None:
    plan = HedgePlan(HedgingPolicy(attempts, delay, frozenset({Code.UNAVAILABLE})), expires_at)
    now, made, stopped = 0.0, 1, False
    plan.sent(now)
    for event, later, pushback, handed_back in events:
        now += later
        if event == "failed":
            plan.failed(Failure(Code.UNAVAILABLE, pushback, handed_back), now)
            stopped = stopped or pushback == "-1" or (handed_back and pushback is None)
        elif plan.due is not None:
            now = max(now, plan.due)
            plan.sent(now)
            made += 1
        assert made <= attempts
        assert plan.due is None or plan.due < expires_at
        assert plan.due is None or not stopped


# A whole call, over endpoints that answer by a script and on the test's clock.


class Answer(NamedTuple):
    """When an attempt ends, in seconds after it was sent, and how."""

    after: float
    code: grpc.StatusCode


class Attempt:
    """Stands for grpc's call."""

    def __init__(self, endpoint: int, ends_at: float, code: grpc.StatusCode) -> None:
        self.endpoint = endpoint
        self.ends_at = ends_at
        self._code = code
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callback: Callable[[Attempt], None] | None = None

    def add_done_callback(self, callback: "Callable[[Attempt], None]") -> None:
        self._callback = callback

    def end(self, code: grpc.StatusCode | None = None) -> None:
        self._code = code or self._code
        self._ended.set_result(None)
        assert self._callback is not None
        self._callback(self)

    def done(self) -> bool:
        return self._ended.done()

    def cancel(self) -> bool:
        if self.done():
            return False
        self.end(grpc.StatusCode.CANCELLED)
        return True

    def cancelled(self) -> bool:
        return self._code is grpc.StatusCode.CANCELLED

    async def code(self) -> grpc.StatusCode:
        return self._code

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    def __await__(self) -> Generator[object, None, bytes]:
        yield from self._ended
        if self._code is grpc.StatusCode.CANCELLED:
            raise asyncio.CancelledError
        if self._code is not grpc.StatusCode.OK:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self._code, nothing, nothing, "as told")
        return b"x"


class Fleet:
    """Endpoints that answer every call by the next line of a script."""

    def __init__(self, script: list[Answer], clock: ManualClock) -> None:
        self._script = iter(script)
        self._clock = clock
        self.attempts: list[Attempt] = []
        self.ended: list[tuple[float, grpc.StatusCode]] = []

    def at(self, endpoint: int) -> Callable[..., Attempt]:
        def send(request: bytes, **_: object) -> Attempt:
            answer = next(self._script)
            assert all(other.done() or other.endpoint != endpoint for other in self.attempts)
            self.attempts.append(Attempt(endpoint, self._clock.monotonic() + answer.after, answer.code))
            return self.attempts[-1]

        return send

    def tick(self) -> None:
        """End what has come to its end."""
        for attempt in tuple(self.attempts):
            if not attempt.done() and attempt.ends_at <= self._clock.monotonic():
                attempt.end()


ANSWERS = st.builds(
    Answer,
    st.floats(0.01, 0.5),
    st.sampled_from([grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=5, max_size=5), st.integers(2, 5), st.integers(1, 4), st.integers(0, 30))
async def test_the_first_that_decides_is_the_answer_and_nothing_is_left_behind(
    script: list[Answer], attempts: int, endpoints: int, delay: int
) -> None:
    policy = {"maxAttempts": attempts, "hedgingDelay": f"0.{delay:02}s", "nonFatalStatusCodes": ["UNAVAILABLE"]}
    options = MeshOptions(service_config={"methodConfig": [{"name": [{}], "hedgingPolicy": policy}]})
    clock = ManualClock()
    fleet = Fleet(script, clock)
    channel = MeshChannel(
        f"static:///{','.join(f'h{number}:1' for number in range(endpoints))}", options, clock=clock, rng=new_rng(1)
    )
    unary = cast("UnaryUnaryMethod[bytes, bytes]", channel.unary_unary("/s/M"))
    for number, endpoint in enumerate(channel._core.endpoints):
        unary._bound[endpoint] = cast("grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", fleet.at(number))
    call = unary(b"x", timeout=30)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(call.code())
        while not waiting.done():
            await clock.settle(5)
            clock.advance(0.01)
            fleet.tick()
    ends = [attempt for attempt in fleet.attempts if attempt.ends_at <= clock.monotonic() and not attempt.cancelled()]
    deciding = [attempt for attempt in ends if await attempt.code() is not grpc.StatusCode.UNAVAILABLE]
    assert len(fleet.attempts) <= attempts
    assert all(attempt.done() for attempt in fleet.attempts)
    assert waiting.result() is (await deciding[0].code() if deciding else grpc.StatusCode.UNAVAILABLE)
    assert len(deciding) <= 1
    assert [endpoint.in_flight for endpoint in channel.statistics().endpoints] == [0] * endpoints
    assert channel.statistics().budget.withdrawn == len(fleet.attempts) - 1
    assert clock.sleeping == 0
