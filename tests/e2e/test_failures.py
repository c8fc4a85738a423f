"""What users see while parts of the mesh are killed, frozen or failing."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import pytest

from agentmesh.conversation.v1 import conversation_pb2
from agentmesh.monitoring.v1.monitoring_pb2 import GetOverviewRequest, GetOverviewResponse
from agentmesh.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceStub
from libs.cli.stack.plans import GRPC_SERVICES, WORKER
from libs.cli.stack.process import Process
from libs.cli.tokens import exchange
from libs.client.replies import Reply
from libs.core.errors import Code, MeshError, Reason
from libs.mesh.channel import MeshChannel
from libs.mesh.options import MeshOptions
from libs.mesh.service_token import StaticToken
from tests.e2e.conftest import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _conversation(world: World) -> str:
    return (await world.client.create_conversation()).conversation_id


async def test_a_replica_killed_while_it_answers_is_not_noticed(world: World) -> None:
    conversations = [await _conversation(world) for _ in range(8)]
    async with asyncio.TaskGroup() as group:
        sends = [group.create_task(world.client.send(one, f"Question {uuid4()}?")) for one in conversations]
        await asyncio.sleep(0.1)
        world.mesh.kill(world.mesh.of("conversation")[0])
    assert all(send.result().route == "model" for send in sends)
    for one in conversations:
        assert len(await world.client.list_messages(one)) == 2


async def test_a_stream_goes_on_when_its_replica_dies(world: World) -> None:
    conversation_id, text, reply = await _conversation(world), "", None
    killed = 0
    async for event in world.client.stream(conversation_id, f"Explain {uuid4()} at length."):
        if isinstance(event, Reply):
            reply = event
        else:
            text += event
            if not killed:
                world.mesh.kill(await _busy(world, "conversation"))
                killed = len(text)
    assert reply is not None
    # It died in the middle: there was more to come.
    assert killed < len(text)
    assert reply.text == text
    assert len(await world.client.list_messages(conversation_id)) == 2


async def test_without_the_cache_turns_are_degraded_not_broken(world: World) -> None:
    world.mesh.kill(world.mesh.of("semantic_cache")[0])
    reply = await world.client.send(await _conversation(world), f"What about {uuid4()}?")
    assert reply.route == "model"
    assert reply.degraded == ("semantic_cache",)


async def test_without_memory_turns_wait_in_the_outbox_and_none_is_lost(world: World) -> None:
    conversation_id = await _conversation(world)
    await world.client.send(conversation_id, "My name is Ada.")
    memory = world.mesh.of("memory")[0]
    world.mesh.kill(memory)
    reply = await world.client.send(conversation_id, f"Tell me about {uuid4()}.")
    assert "memory" in reply.degraded
    await world.revive(memory)
    messages = await _eventually_listed(world, conversation_id, 4)
    assert messages[3].content == reply.text


async def test_without_the_router_the_error_is_clear_and_nothing_is_kept(world: World) -> None:
    conversation_id = await _conversation(world)
    router = world.mesh.of("model_router")[0]
    world.mesh.kill(router)
    request_id = str(uuid4())
    question = f"What of {uuid4()}?"
    with pytest.raises(MeshError) as raised:
        await world.client.send(conversation_id, question, request_id=request_id)
    assert raised.value.code is Code.UNAVAILABLE
    assert await world.client.list_messages(conversation_id) == []
    await world.revive(router)
    assert (await _eventually(world, conversation_id, question, request_id)).route == "model"


async def _eventually_listed(world: World, conversation_id: str, number: int) -> list[conversation_pb2.Message]:
    # As below, and the outbox needs a moment as well.
    for _ in range(100):
        try:
            messages = await world.client.list_messages(conversation_id)
        except MeshError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
        else:
            if len(messages) == number:
                return messages
        await asyncio.sleep(0.1)
    raise AssertionError("the outbox was not emptied within ten seconds")


async def _eventually(world: World, conversation_id: str, text: str, request_id: str | None = None) -> Reply:
    # Breakers and backoffs of the callers need a moment to find out that a peer is back.
    for _ in range(100):
        try:
            return await world.client.send(conversation_id, text, request_id=request_id)
        except MeshError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError("still unavailable after ten seconds")


async def test_without_auth_known_credentials_go_on_and_unknown_ones_fail_closed(world: World) -> None:
    for _ in range(4):
        # Both replicas have to have seen the key.
        await _conversation(world)
    auth = world.mesh.of("auth")[0]
    world.mesh.kill(auth)
    assert (await world.client.send(await _conversation(world), f"Who is {uuid4()}?")).route == "model"
    from libs.client.aio import AgentMesh

    async with AgentMesh(world.mesh.conversation_target, "amk_unknown") as stranger:
        with pytest.raises(MeshError) as raised:
            await stranger.create_conversation()
    assert raised.value.code in (Code.UNAVAILABLE, Code.UNAUTHENTICATED)
    await world.revive(auth)


async def test_redis_gone_means_unavailable_with_a_time_to_retry_and_back_means_back(world: World) -> None:
    conversation_id = await _conversation(world)
    world.mesh.redis.kill()
    try:
        with pytest.raises(MeshError) as raised:
            await world.client.send(conversation_id, "Anybody there?")
        assert raised.value.code is Code.UNAVAILABLE
        assert raised.value.retry_after is not None
    finally:
        world.mesh.redis.start()
    await world.mesh.wait_serving(30)
    assert (await _eventually(world, conversation_id, "Anybody there?")).route in ("model", "cache")


async def test_a_client_that_leaves_stops_the_model_and_is_accounted(world: World) -> None:
    conversation_id = await _conversation(world)
    before = await _overview(world)
    stream = world.client.stream(conversation_id, f"Explain {uuid4()} in many words.")
    async for event in stream:
        assert isinstance(event, str)
        break
    await stream.aclose()

    async def stopped() -> bool:
        return (await world.simulator.statistics())["cancelled_by_client"] == 1

    async def accounted() -> bool:
        now = await _overview(world)
        return now.cost_usd_micros > before.cost_usd_micros and now.error_count > before.error_count

    await _wait_for(stopped)
    await _wait_for(accounted)
    assert await world.client.list_messages(conversation_id) == []


async def _wait_for(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{condition.__name__}: not within ten seconds")


async def _overview(world: World) -> GetOverviewResponse:
    token = await exchange(world.mesh.target("auth"), world.api_key)
    async with MeshChannel(world.mesh.target("monitoring"), MeshOptions(token_source=StaticToken(token))) as channel:
        return await MonitoringServiceStub(channel).GetOverview(GetOverviewRequest())


async def test_a_failing_model_is_replaced_before_the_first_text(world: World) -> None:
    await world.simulator.fault(kind="status", status=529, model="claude-sonnet-5-5")
    reply = await world.client.send(await _conversation(world), f"What is {uuid4()}?")
    assert reply.route == "model"
    assert reply.model != "claude-sonnet-5-5"
    assert reply.report.fallback_count >= 1


async def test_a_killed_workers_job_is_taken_over(world: World) -> None:
    await world.simulator.fault(kind="slow_first_token", seconds=1.5, count=1)
    submitted = await world.client.submit_job(await _conversation(world), f"Explain {uuid4()}.")
    killed = False
    async for update in world.client.watch_job(submitted.job_id):
        if update.state == "running" and not killed:
            killed = True
            world.mesh.kill(await _busy(world, "conversation_worker"))
        last = update
    assert last.state == "succeeded"
    assert last.attempt == 2
    assert last.reply is not None


_IN_FLIGHT = {"conversation": "agentmesh_server_in_flight", "conversation_worker": "agentmesh_jobs_in_flight"}


async def _busy(world: World, service: str) -> Process:
    """The one process of the service that has the one call, or job, of this test."""
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            busy = [
                process
                for process in world.mesh.of(service)
                if process.alive and await _in_flight(session, world, process)
            ]
            if busy:
                assert len(busy) == 1
                return busy[0]
            await asyncio.sleep(0.02)
    raise AssertionError(f"no {service} is busy")


async def _in_flight(session: aiohttp.ClientSession, world: World, process: Process) -> bool:
    async with session.get(f"{world.mesh.admin_url(process)}/metrics") as response:
        return f"{_IN_FLIGHT[process.plan.service]} 1.0" in (await response.text()).splitlines()


async def test_a_job_is_retried_until_the_models_are_back(world: World) -> None:
    await world.simulator.fault(kind="status", status=529)
    submitted = await world.client.submit_job(await _conversation(world), f"Explain {uuid4()}.")
    states: list[str] = []
    async for update in world.client.watch_job(submitted.job_id, timeout=60):
        states.append(update.state)
        if update.state == "retrying":
            assert update.error.startswith(Reason.MODEL_UNAVAILABLE.name)
            await world.simulator.mend()
    assert "retrying" in states
    assert update.state == "succeeded"
    assert update.attempt >= 2
    assert update.reply is not None


async def test_a_job_that_can_never_succeed_fails_at_its_first_try(world: World) -> None:
    await world.simulator.fault(kind="status", status=400)
    submitted = await world.client.submit_job(await _conversation(world), f"Explain {uuid4()}.")
    async for update in world.client.watch_job(submitted.job_id):
        last = update
    assert last.state == "failed"
    assert last.attempt == 1
    assert last.error.startswith(Reason.MODEL_REJECTED.name)


async def test_a_job_is_cancelled_while_it_runs(world: World) -> None:
    await world.simulator.fault(kind="hang", seconds=30)
    submitted = await world.client.submit_job(await _conversation(world), f"Explain {uuid4()}.")
    async for update in world.client.watch_job(submitted.job_id):
        if update.state == "running":
            break

    async def asked() -> bool:
        return (await world.simulator.statistics())["in_flight"] == 1

    async def stopped() -> bool:
        return (await world.simulator.statistics())["cancelled_by_client"] == 1

    await _wait_for(asked)
    assert (await world.client.cancel_job(submitted.job_id)).state == "cancelled"
    await _wait_for(stopped)
    with pytest.raises(MeshError) as raised:
        await world.client.cancel_job(await _finished_job(world))
    assert raised.value.reason is Reason.JOB_FINISHED


async def _finished_job(world: World) -> str:
    await world.simulator.mend()
    submitted = await world.client.submit_job(await _conversation(world), f"Explain {uuid4()}.")
    async for _ in world.client.watch_job(submitted.job_id):
        pass
    return submitted.job_id


async def test_a_frozen_redis_does_not_hang_callers(world: World) -> None:
    conversation_id = await _conversation(world)
    world.mesh.redis.pause()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(MeshError) as raised:
                await world.client.send(conversation_id, "Anybody there?")
        assert raised.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
    finally:
        world.mesh.redis.resume()
    await world.mesh.wait_serving(30)


async def test_usage_and_cost_reach_monitoring(world: World) -> None:
    before = await _overview(world)
    reply = await world.client.send(await _conversation(world), f"What does {uuid4()} cost?")

    async def counted() -> bool:
        now = await _overview(world)
        return now.turn_count > before.turn_count and (
            now.cost_usd_micros >= before.cost_usd_micros + reply.cost_usd_micros
        )

    await _wait_for(counted)
    assert (await _overview(world)).p50_ms > 0


@pytest.mark.parametrize("service", [*GRPC_SERVICES, WORKER])
async def test_every_process_drains_on_sigterm(world: World, service: str) -> None:
    process = world.mesh.of(service)[0]
    await process.stop(10)
    assert not process.alive
    # The log's last lines: one that had to be killed says nothing any more.
    assert "server.stopped" in process.log_tail(600)
    await world.revive(process)


async def test_the_front_door_answers_what_it_has_begun_before_it_stops(world: World) -> None:
    conversation_id = await _conversation(world)
    async with asyncio.TaskGroup() as group:
        send = group.create_task(world.client.send(conversation_id, f"Explain {uuid4()} at length."))
        process = await _busy(world, "conversation")
        await process.stop(10)
        # Not by another replica after this one had gone.
        assert send.done()
    assert send.result().route == "model"
    assert "server.stopped" in process.log_tail(600)
    statistics = await world.simulator.statistics()
    assert statistics["cancelled_by_client"] == 0
    await world.revive(process)
