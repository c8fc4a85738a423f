import asyncio
from collections import Counter
from math import inf

import grpc
import pytest

from libs.core.rng import new_rng
from libs.testing.simulation.behaviour import Failing
from libs.testing.simulation.latency import Normal
from libs.testing.simulation.network import SimulatedNetwork
from libs.testing.simulation.workload import Call, Recording, Workload, offer
from libs.testing.virtual_loop import run_virtual

OK, LOST = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE


def recorded(*calls: tuple[float, float, grpc.StatusCode]) -> Recording:
    recording = Recording()
    for call in calls:
        recording.add(*call)
    return recording


def offered(workload: Workload, share: float = 1e-9, seed: int = 1, clients: int = 1) -> tuple[Recording, Counter[int]]:
    """Against one server that fails that share of the requests; also how many calls each client made."""
    made: Counter[int] = Counter()

    async def main() -> Recording:
        network = SimulatedNetwork(asyncio.get_running_loop(), new_rng(seed))
        network.add("server:1", Failing(LOST, 0.1, share, well=Normal(0.1)))
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = network.dial("server:1").unary_unary("/a/B")

        def client(number: int) -> Call:
            def call(timeout: float) -> grpc.aio.UnaryUnaryCall[bytes, bytes]:
                made[number] += 1
                return method(b"", timeout=timeout)

            return call

        return await offer(workload, [client(number) for number in range(clients)], new_rng(seed))

    return run_virtual(main()), made


def test_success_is_the_share_of_ok_among_the_calls_of_a_span() -> None:
    recording = recorded((0.0, 0.1, OK), (1.0, 0.1, LOST), (2.0, 0.1, OK), (3.0, 0.1, OK))
    assert recording.success() == 0.75
    assert recording.success(since=1.0, until=2.0) == 0.0
    assert recording.success(since=9.0) == 1.0
    assert (recording.calls, recording.failures, recording.count(LOST)) == (4, 1, 1)


def test_percentiles_count_every_call() -> None:
    recording = recorded(*((0.0, number / 100, OK) for number in range(1, 101)))
    assert [recording.percentile(share) for share in (0.5, 0.99, 1.0)] == [0.5, 0.99, 1.0]


def test_recovery_ends_with_the_last_bad_span() -> None:
    calls = [(10 + tenth / 10, 0.1, LOST if tenth in (3, 12) else OK) for tenth in range(100)]
    assert recorded(*calls).recovered(10.0, 0.99) == 1.5
    assert recorded(*calls[13:]).recovered(10.0, 0.99) == 0.0
    assert recorded(*calls, (19.95, 0.1, LOST)).recovered(10.0, 0.99) == inf


def test_arrivals_do_not_wait_for_answers() -> None:
    # 10 calls at a time would be in flight; 100 a second arrive all the same.
    recording, _ = offered(Workload(100, 10, poisson=False))
    assert recording.calls == pytest.approx(1000, abs=1)
    assert recording.failures == 0


def test_poisson_arrivals_scatter_around_the_rate() -> None:
    recording, made = offered(Workload(200, 20), share=0.5, clients=4)
    # 4000 arrivals: four deviations of a Poisson count are 253, of a fair coin's share 0.032.
    assert recording.calls == pytest.approx(4000, abs=253)
    assert recording.success() == pytest.approx(0.5, abs=0.032)
    assert min(made.values()) > 800


def test_the_seed_decides_everything() -> None:
    first, second, other = (offered(Workload(50, 5), share=0.5, seed=seed)[0] for seed in (1, 1, 2))
    assert (first.calls, first.failures, first.percentile(0.5)) == (
        second.calls,
        second.failures,
        second.percentile(0.5),
    )
    assert (first.calls, first.failures) != (other.calls, other.failures)


@pytest.mark.parametrize("faulty", [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)])
def test_a_workload_of_nothing_is_refused(faulty: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Workload(*faulty)
