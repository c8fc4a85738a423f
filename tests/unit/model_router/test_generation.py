import asyncio
from collections.abc import Sequence

import pytest

from libs.core.deadline import Deadline
from libs.core.errors import MeshError, Reason
from services.model_router.failures import CONNECTION, MALFORMED, TIMEOUT, Failure, classify
from services.model_router.gate import Gate
from services.model_router.generation import Generator, Upstream
from services.model_router.outcome import StopReason, Usage
from services.model_router.ports import Patience
from services.model_router.routing import Router, RoutingPolicy
from services.model_router.settings import RouterSettings
from tests.unit.model_router.builders import REQUEST_ID, ask, catalogue, model
from tests.unit.model_router.fakes import FakeBooks, FakeProvider, Script, Step, Thought, VirtualClock, Wait

OVERLOADED = classify(529, "overloaded_error")
RATE_LIMITED = classify(429, "rate_limit_error", retry_after=7.0)
SPENT = classify(429, "rate_limit_error", "enforced_spend_limit_reached")
PATIENCE = Patience(first_text=10.0, silence=10.0, total=60.0)
GOOD = Script(["fine"])


class Bench:
    """A generator of models `a`, `b`, `c` (in this order), and everything around it."""

    def __init__(self, *, limit: int = 10, patience: Patience = PATIENCE, **scripts: Sequence[Script]) -> None:
        self.clock = VirtualClock()
        self.provider = FakeProvider(self.clock, {name: list(each) for name, each in scripts.items()})
        self.books = FakeBooks()
        self.gate = Gate(limit, 0.0)
        router = Router(catalogue(*(model(name) for name in "abc")), RoutingPolicy())
        self.generator = Generator(Upstream(self.provider, self.gate, patience), router, self.books, self.clock)
        self.text: list[str] = []

    def deadline(self, seconds: float = 100.0) -> Deadline:
        return Deadline.after(seconds, self.clock)

    async def refused(self, *, streamed: bool = False, seconds: float = 100.0, asked: str = "") -> MeshError:
        sink = self.text.append if streamed else None
        with pytest.raises(MeshError) as caught:
            await self.generator.run(ask(model=asked), self.deadline(seconds), sink)
        return caught.value

    @property
    def tried(self) -> list[str]:
        return [call.model.name for call in self.provider.calls]


def script(*steps: Step) -> list[Script]:
    return [Script(steps)]


async def test_the_preferred_model_answers() -> None:
    bench = Bench(a=[Script([Wait(2.0), "Hello"], Usage(100, 10))])
    end = await bench.generator.run(ask(), bench.deadline())
    assert (end.text, end.model, end.stop_reason) == ("Hello", "a", StopReason.END_TURN)
    assert end.usage == Usage(100, 10)
    assert end.cost_usd_micros == 150
    assert end.time_to_first_text == 2.0
    assert [(hop.model, hop.failure, hop.duration) for hop in end.hops] == [("a", "", 2.0)]
    (record,) = bench.books.records
    assert (record.request_id, record.error_reason, record.duration) == (REQUEST_ID, "", 2.0)


async def test_streamed_text_goes_to_the_sink_as_it_comes() -> None:
    bench = Bench(a=script(Wait(1.0), "Hel", "lo"))
    end = await bench.generator.run(ask(), bench.deadline(), bench.text.append)
    assert bench.text == ["Hel", "lo"]
    assert (end.text, end.time_to_first_text) == ("", 1.0)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "failure",
    [OVERLOADED, RATE_LIMITED, classify(500, ""), classify(504, ""), classify(404, ""), CONNECTION, MALFORMED],
    ids=lambda failure: failure.label,
)
async def test_a_model_that_fails_is_replaced_by_the_next(failure: Failure, streamed: bool) -> None:
    bench = Bench(a=script(Wait(1.0), failure), b=[GOOD])
    end = await bench.generator.run(ask(), bench.deadline(), bench.text.append if streamed else None)
    assert (end.model, end.text or "".join(bench.text)) == ("b", "fine")
    assert [(hop.model, hop.failure) for hop in end.hops] == [("a", failure.label), ("b", "")]
    assert [fell_back for _, fell_back in bench.books.hops] == [True, False]
    assert end.time_to_first_text == 1.0


async def test_a_model_that_does_not_begin_in_time_is_replaced() -> None:
    bench = Bench(a=script(Wait(3600.0), "late"), b=[GOOD])
    end = await bench.generator.run(ask(), bench.deadline(), bench.text.append)
    assert bench.text == ["fine"]
    assert [(hop.failure, hop.duration) for hop in end.hops] == [("timeout", 10.0), ("", 0.0)]


async def test_with_default_settings_a_model_that_hangs_is_replaced_in_time_without_streaming_too() -> None:
    given = {"anthropic_api_key": "key", "auth_target": "static:///h:1", "service_secret": "secret"}
    patience = RouterSettings.model_validate(given).patience()
    hung = Wait(3600.0)
    bench = Bench(patience=patience, a=script(hung), b=script(hung), c=[Script([Wait(39.0), "fine"])])
    end = await bench.generator.run(ask(), bench.deadline(120.0))
    assert end.text == "fine"
    assert [(hop.failure, hop.duration) for hop in end.hops] == [("timeout", 40.0), ("timeout", 40.0), ("", 39.0)]


async def test_the_only_model_may_take_all_the_time_there_is() -> None:
    bench = Bench(a=script(Wait(59.0), "fine"))
    assert (await bench.generator.run(ask(model="a"), bench.deadline(100.0))).text == "fine"


async def test_a_stream_that_has_begun_is_not_hurried_for_the_next_models_sake() -> None:
    bench = Bench(a=[GOOD])
    await bench.generator.run(ask(), bench.deadline(60.0), bench.text.append)
    assert bench.provider.calls[0].patience == PATIENCE


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_try_of_which_nothing_was_heard_costs_its_prompt(streamed: bool) -> None:
    bench = Bench(a=script(Wait(3600.0)), b=[GOOD])
    end = await bench.generator.run(ask("0123456789" * 7), bench.deadline(), bench.text.append if streamed else None)
    # 70 bytes are estimated at 21 tokens, and 4 for the message.
    assert [hop.usage for hop in end.hops] == [Usage(25, 0), Usage(100, 10)]
    assert [hop.cost_usd_micros for hop in end.hops] == [25, 150]


@pytest.mark.parametrize("failure", [OVERLOADED, CONNECTION, classify(504, "")], ids=lambda failure: failure.label)
async def test_a_try_that_the_provider_refused_costs_nothing(failure: Failure) -> None:
    bench = Bench(a=script(failure), b=[GOOD])
    end = await bench.generator.run(ask(), bench.deadline())
    assert end.hops[0].cost_usd_micros == 0


async def test_thinking_that_was_cut_off_is_paid_but_no_text() -> None:
    bench = Bench(a=script(Usage(1000, 1), Thought("0123456789" * 7), TIMEOUT), b=[GOOD])
    end = await bench.generator.run(ask(), bench.deadline(), bench.text.append)
    assert bench.text == ["fine"]
    assert end.hops[0].usage == Usage(1000, 21)


async def test_what_a_failed_try_cost_is_part_of_the_price() -> None:
    bench = Bench(a=script(Usage(1000, 0), OVERLOADED), b=[Script(["x"], Usage(100, 10))])
    end = await bench.generator.run(ask(), bench.deadline(), bench.text.append)
    assert [hop.cost_usd_micros for hop in end.hops] == [1000, 150]
    assert end.cost_usd_micros == 1150
    assert end.usage == Usage(100, 10)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (classify(401, ""), Reason.MODEL_REFUSED_KEY),
        (classify(403, ""), Reason.MODEL_REFUSED_KEY),
        (classify(400, ""), Reason.MODEL_REJECTED),
        (classify(413, ""), Reason.CONTEXT_TOO_LONG),
        (SPENT, Reason.SPEND_LIMIT_REACHED),
    ],
    ids=lambda value: value.label if isinstance(value, Failure) else "",
)
async def test_what_all_models_would_refuse_is_refused_at_once(failure: Failure, reason: Reason) -> None:
    bench = Bench(a=script(failure), b=[GOOD])
    error = await bench.refused()
    assert (error.reason, error.retry_after) == (reason, None)
    assert bench.tried == ["a"]
    assert bench.books.records[0].error_reason == reason.name


async def test_when_all_models_fail_the_caller_may_retry() -> None:
    bench = Bench(a=script(RATE_LIMITED), b=script(OVERLOADED), c=script(CONNECTION))
    error = await bench.refused()
    assert (error.reason, error.retry_after) == (Reason.MODEL_UNAVAILABLE, 7.0)
    assert bench.tried == ["a", "b", "c"]
    assert [fell_back for _, fell_back in bench.books.hops] == [True, True, False]


async def test_when_all_models_are_rate_limited_the_soonest_says_when_to_retry() -> None:
    sooner = classify(429, "rate_limit_error", retry_after=2.0)
    bench = Bench(a=script(RATE_LIMITED), b=script(sooner), c=script(RATE_LIMITED))
    error = await bench.refused()
    assert (error.reason, error.retry_after) == (Reason.MODEL_RATE_LIMITED, 2.0)


async def test_a_model_the_caller_insists_on_is_not_replaced() -> None:
    bench = Bench(a=[GOOD], b=script(OVERLOADED))
    assert (await bench.refused(asked="b")).reason is Reason.MODEL_UNAVAILABLE
    assert bench.tried == ["b"]


async def test_after_the_first_text_a_failure_breaks_the_stream() -> None:
    bench = Bench(a=script(Usage(1000, 1), "0123456789" * 7, OVERLOADED), b=[GOOD])
    error = await bench.refused(streamed=True)
    assert error.reason is Reason.MODEL_STREAM_BROKEN
    assert bench.tried == ["a"]
    (hop, _) = bench.books.hops[0]
    # 70 bytes are estimated at 21 tokens; the provider had counted 1 so far.
    assert hop.usage == Usage(1000, 21)
    assert hop.cost_usd_micros == 1000 + 21 * 5


async def test_a_spend_limit_in_mid_stream_is_named() -> None:
    bench = Bench(a=script("text", SPENT))
    assert (await bench.refused(streamed=True)).reason is Reason.SPEND_LIMIT_REACHED


async def test_no_try_outlives_the_deadline() -> None:
    bench = Bench(a=script(Wait(5.0), OVERLOADED), b=script(Wait(50.0), "late"), c=[GOOD])
    error = await bench.refused(seconds=8.0)
    assert error.reason is Reason.DEADLINE_TOO_SHORT
    assert bench.tried == ["a", "b"]
    assert bench.provider.calls[1].patience == Patience(3.0, 3.0, 3.0)
    assert bench.clock.now == 1008.0


async def test_a_deadline_that_has_passed_costs_no_call() -> None:
    bench = Bench(a=[GOOD])
    assert (await bench.refused(seconds=0.0)).reason is Reason.DEADLINE_TOO_SHORT
    assert bench.tried == []
    assert bench.books.records == []


async def test_cancelling_cancels_the_provider_and_accounts_what_was_written() -> None:
    bench = Bench(a=script(Usage(1000, 1), "0123456789" * 7, Wait(5.0), "more"))
    run = bench.generator.run(ask(), bench.deadline(), bench.text.append)

    async def cancel_while_it_waits(task: "asyncio.Task[object]") -> None:
        await bench.clock.sleep(1.0)
        task.cancel()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run)
        tasks.create_task(cancel_while_it_waits(task))
    assert task.cancelled()
    assert bench.provider.cancelled == ["a"]
    (record,) = bench.books.records
    assert record.error_reason == "CANCELLED"
    assert [(hop.failure, hop.usage) for hop in record.hops] == [("cancelled", Usage(1000, 21))]
    assert bench.gate.statistics().inside == 0


async def test_cancelling_what_was_not_streamed_is_accounted_too() -> None:
    bench = Bench(a=script(Wait(5.0), "late"))
    run = bench.generator.run(ask(), bench.deadline())

    async def cancel_while_it_waits(task: "asyncio.Task[object]") -> None:
        await bench.clock.sleep(1.0)
        task.cancel()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run)
        tasks.create_task(cancel_while_it_waits(task))
    (record,) = bench.books.records
    assert [hop.failure for hop in record.hops] == ["cancelled"]
    assert record.hops[0].cost_usd_micros > 0


async def test_above_the_limit_calls_are_shed() -> None:
    bench = Bench(limit=1, a=[Script([Wait(1.0), "slow"]), GOOD])
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(bench.generator.run(ask(), bench.deadline()))
        second = tasks.create_task(bench.refused())
    assert first.result().text == "slow"
    assert second.result().reason is Reason.OVERLOADED
    assert second.result().retry_after == 1.0
    assert bench.gate.statistics() == (0, 1)
    assert (await bench.generator.run(ask(), bench.deadline())).text == "fine"
