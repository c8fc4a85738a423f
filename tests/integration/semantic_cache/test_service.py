import asyncio
import struct

import grpc
import pytest

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import Reason
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from tests.integration.memory.commands import calls_of
from tests.integration.semantic_cache.replica import Replica, admin, caller, refusal, replica, scope

ASKED = "How do I reset my password?"
REPHRASED = "How do I reset my password please?"
OTHER = "Where is the nearest harbour?"
LAX = 0.5
EVERYTHING = pb.InvalidateRequest(everything=True)


async def test_a_miss_a_put_and_a_hit(cache: Replica) -> None:
    assert not (await cache.lookup(ASKED)).HasField("hit")
    assert (await cache.put(ASKED, "Click on it.", pieces=[6, 6])).semantic
    hit = (await cache.lookup(ASKED)).hit
    assert (hit.answer, hit.model, hit.cost_usd_micros) == ("Click on it.", "claude-haiku-5-5", 1200)
    assert (hit.layer, hit.similarity) == (types_pb2.CACHE_LAYER_EXACT_MEMORY, 1.0)
    assert (hit.usage.input_tokens, hit.usage.output_tokens) == (5, 7)
    assert list(hit.piece_lengths) == [6, 6]


async def test_a_rephrasing_hits_once_its_embedding_is_there(experienced: Replica) -> None:
    await experienced.put(ASKED)
    hit = (await experienced.served(REPHRASED)).hit
    assert hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert 0.9 <= hit.similarity < 1.0
    assert 0 < hit.wrong_probability < 0.5


async def test_the_embedding_of_a_miss_serves_the_put(experienced: Replica) -> None:
    await experienced.put(OTHER)
    missed = await experienced.lookup(ASKED)
    assert len(missed.embedding) > 0
    await experienced.put(ASKED, embedding=missed.embedding, receipt=missed.receipt)
    assert (await experienced.served(REPHRASED)).hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert (await experienced.statistics())["backlog"]["dropped"] == 0


async def test_a_lookalike_is_refused_and_the_explanation_says_why(cache: Replica) -> None:
    await cache.put("Is it safe to press the red button?")
    await cache.enriched(1)
    request = "Is it not safe to press the red button?"
    response = await cache.lookup(request, explain=True)
    assert not response.HasField("hit")
    (candidate,) = response.explanation.candidates
    assert candidate.refused_by == "negation"
    assert response.explanation.reason
    assert not (await cache.lookup(request)).HasField("explanation")


async def test_what_a_fresh_answer_shows_is_learned_by_all_replicas(redis: EmbeddedRedis) -> None:
    near = "How do you reset my password?"
    async with replica(redis.url) as one, replica(redis.url) as other:
        await one.put(ASKED, "Press the red button.")
        await one.enriched(1)
        missed = await one.lookup(near)
        assert not missed.HasField("hit")
        await one.put(near, "Press the red button.", receipt=missed.receipt)
        for each in (one, other):
            # Only tenants that are asked for are kept up to date.
            async with asyncio.timeout(20):
                while (await each.statistics())["experience"]["outcomes"] == 0:
                    await each.lookup(OTHER)
        assert (
            b'agentmesh_cache_outcomes_total{outcome="right",source="miss"} 1.0' in one.telemetry.metrics.exposition()
        )


async def test_an_exact_hit_in_memory_costs_no_round_trip_and_others_cost_one(
    redis: EmbeddedRedis, store: Store, cache: Replica
) -> None:
    personal = scope(personal=True)
    await cache.put(ASKED, where=personal)
    async with replica(redis.url) as other:
        opened = await calls_of(store, "get")
        hit = (await other.lookup(ASKED, where=personal)).hit
        assert hit.layer == types_pb2.CACHE_LAYER_EXACT_REDIS
        # The script that opens an entry reads it.
        assert await calls_of(store, "get") - opened == 1
        hit = (await other.lookup(ASKED, where=personal)).hit
        assert hit.layer == types_pb2.CACHE_LAYER_EXACT_MEMORY
        assert await calls_of(store, "get") - opened == 1


async def test_entries_survive_a_restart_of_the_service(redis: EmbeddedRedis) -> None:
    async with replica(redis.url, max_wrong_rate=LAX) as first:
        await first.learn()
        await first.put(ASKED)
        await first.served(REPHRASED)
    async with replica(redis.url, max_wrong_rate=LAX) as second:
        assert (await second.served(REPHRASED)).hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
        assert (await second.lookup(ASKED)).hit.layer == types_pb2.CACHE_LAYER_EXACT_REDIS


async def test_equal_questions_at_once_through_two_replicas_get_one_lease(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as one, replica(redis.url) as other, asyncio.TaskGroup() as tasks:
        leads = await one.lookup(ASKED, max_wait=10)
        assert len(leads.lease.token) == 16
        waiting = [tasks.create_task(each.lookup(ASKED, max_wait=10)) for each in (one, other) for _ in range(10)]
        await one.until(lambda statistics: statistics["flights"]["waiting"] == 10)
        await other.until(lambda statistics: statistics["flights"]["waiting"] == 10)
        assert await one.renew(ASKED, leads.lease.token)
        await one.put(ASKED, lease_token=leads.lease.token, receipt=leads.receipt)
        responses = [await each for each in waiting]
    assert all(response.hit.waited for response in responses)


async def test_a_leader_that_fails_is_replaced_and_one_that_keeps_its_answer_sends_all_off(cache: Replica) -> None:
    for reusable, leases in ((True, 1), (False, 0)):
        text = f"{ASKED} {reusable}"
        leads = await cache.lookup(text, max_wait=10)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(cache.lookup(text, max_wait=2)) for _ in range(5)]
            await cache.until(lambda statistics: statistics["flights"]["waiting"] == 5)
            await cache.release(text, leads.lease.token, reusable=reusable)
            responses = [await each for each in waiting]
        assert [len(response.lease.token) for response in responses].count(16) == leases


async def test_after_an_invalidation_no_replica_serves_what_bore_the_mark(redis: EmbeddedRedis) -> None:
    targets = [
        pb.InvalidateRequest(entry=pb.EntryTarget(scope=scope(), text=ASKED)),
        pb.InvalidateRequest(scope_prefix=pb.ScopePrefix(personal=False, tier=types_pb2.MODEL_TIER_BALANCED)),
        pb.InvalidateRequest(tag="product:1"),
        pb.InvalidateRequest(everything=True),
    ]
    async with replica(redis.url, max_wrong_rate=LAX) as one, replica(redis.url, max_wrong_rate=LAX) as other:
        for target in targets:
            begun = await one.lookup(OTHER, max_wait=1)
            await one.put(ASKED, tags=["product:1"])
            for each in (one, other):
                assert (await each.lookup(ASKED)).HasField("hit")
            await one.invalidate(target)
            for each in (one, other):
                for text in (ASKED, REPHRASED):
                    assert not (await each.lookup(text)).HasField("hit"), target
            if begun.lease.token and not target.HasField("entry"):
                late = await one.put(OTHER, lease_token=begun.lease.token, receipt=begun.receipt, tags=["product:1"])
                assert late.outdated, target


async def test_a_wrong_answer_that_was_reported_is_not_served_for_that_text_again(experienced: Replica) -> None:
    await experienced.put(ASKED)
    served = await experienced.served(REPHRASED)
    await experienced.report(served.receipt)
    for _ in range(50):
        assert not (await experienced.lookup(REPHRASED)).HasField("hit")
    assert (await experienced.lookup(ASKED)).HasField("hit")
    exposed = experienced.telemetry.metrics.exposition()
    assert b'agentmesh_cache_outcomes_total{outcome="wrong",source="feedback"} 1.0' in exposed


async def test_a_wrong_answer_to_the_same_text_goes(cache: Replica) -> None:
    await cache.put(ASKED)
    await cache.report((await cache.lookup(ASKED)).receipt)
    assert not (await cache.lookup(ASKED)).HasField("hit")


async def test_what_a_user_put_is_erased(cache: Replica) -> None:
    await cache.put(ASKED)
    await cache.put(ASKED, where=scope(personal=True))
    await cache.put(OTHER, who=caller(user="u2"))
    assert await cache.erase("u1") == 2
    assert not (await cache.lookup(ASKED)).HasField("hit")
    assert not (await cache.lookup(ASKED, where=scope(personal=True))).HasField("hit")
    assert (await cache.lookup(OTHER)).HasField("hit")
    assert await cache.erase("u1") == 0


async def test_another_context_finds_nothing(cache: Replica) -> None:
    await cache.put(ASKED, where=scope(context="digest"))
    assert not (await cache.lookup(ASKED)).HasField("hit")


async def test_the_counters_tell_what_was_saved(experienced: Replica) -> None:
    before = await experienced.stats()
    await experienced.lookup(ASKED)
    await experienced.put(ASKED)
    await experienced.lookup(ASKED)
    await experienced.served(REPHRASED)
    after = await experienced.stats()
    assert after.exact_memory_hit_count - before.exact_memory_hit_count == 1
    assert after.exact_redis_hit_count == before.exact_redis_hit_count
    assert after.semantic_hit_count - before.semantic_hit_count == 1
    assert after.put_count - before.put_count == 1
    assert after.saved_usd_micros - before.saved_usd_micros == 2400
    assert after.indexed_entry_count - before.indexed_entry_count == 1
    assert after.lookup_count - before.lookup_count >= 3
    assert after.audit_count >= before.audit_count
    assert (after.max_wrong_rate, after.wrong_rate_low <= after.wrong_rate_high) == (0.5, True)


async def test_lookups_are_measured_by_layer(cache: Replica) -> None:
    await cache.lookup(ASKED)
    await cache.put(ASKED)
    await cache.lookup(ASKED)
    exposed = cache.telemetry.metrics.exposition()
    assert b'agentmesh_cache_lookups_total{layer="miss"} 1.0' in exposed
    assert b'agentmesh_cache_lookups_total{layer="exact_memory"} 1.0' in exposed


async def test_bad_input_is_named(cache: Replica) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cache.lookup("")
    assert [violation.field for violation in refusal(caught).violations] == ["text"]
    for embedding in (b"123", struct.pack("<3f", 1.0, 0.0, 0.0), struct.pack("<64f", *[float("nan")] * 64)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cache.put(ASKED, embedding=embedding)
        assert [violation.field for violation in refusal(caught).violations] == ["embedding"]
    for receipt in (b"x", bytes(150), (await cache.lookup(ASKED)).receipt + bytes(600)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cache.put(ASKED, receipt=receipt)
        assert [violation.field for violation in refusal(caught).violations] == ["receipt"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cache.put(ASKED, lease_token=b"\xff" * 16)
    assert [violation.field for violation in refusal(caught).violations] == ["lease_token"]


async def test_a_lease_that_nobody_gave_out_is_worth_nothing(cache: Replica) -> None:
    leads = await cache.lookup(ASKED, max_wait=1)
    forged = bytes(16)
    assert not await cache.renew(ASKED, forged)
    await cache.release(ASKED, forged)
    assert await cache.renew(ASKED, leads.lease.token)
    # From the future: it would outlive every invalidation.
    assert (await cache.put(ASKED, lease_token=b"\x7f" * 16)).outdated


async def test_without_redis_lookups_miss_and_puts_say_so(redis: EmbeddedRedis, cache: Replica) -> None:
    await cache.put(ASKED)
    redis.kill()
    assert not (await cache.lookup(OTHER)).HasField("hit")
    for call in (cache.put(OTHER), cache.invalidate(EVERYTHING), cache.erase("u1")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = refusal(caught)
        assert error.reason is Reason.STORE_UNAVAILABLE
        assert error.retry_after is not None
    # What memory holds may be invalidated on another replica, where this one does not hear of it.
    async with asyncio.timeout(20):
        while (await cache.lookup(ASKED)).HasField("hit"):
            pass
    assert await cache.ready()
    assert b'agentmesh_cache_lookups_total{layer="unavailable"}' in cache.telemetry.metrics.exposition()
    redis.restart()
    await cache.put(OTHER)
    assert (await cache.lookup(OTHER)).HasField("hit")


async def test_only_administrators_invalidate_and_erase(cache: Replica) -> None:
    await cache.put(ASKED)
    client = caller(audience="agentmesh")
    for call in (cache.invalidate(EVERYTHING, client), cache.erase("u1", client)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert refusal(caught).reason is Reason.MISSING_SCOPE
    assert (await cache.lookup(ASKED)).HasField("hit")
    await cache.invalidate(EVERYTHING, admin(user="boss"))
    assert not (await cache.lookup(ASKED)).HasField("hit")


async def test_embed_gives_unit_vectors_in_order(cache: Replica) -> None:
    response = await cache.embedding.Embed(pb.EmbedRequest(texts=[ASKED, OTHER, ASKED]), metadata=caller())
    assert (response.model, bool(response.space)) == ("fake", True)
    assert response.embeddings[0] == response.embeddings[2] != response.embeddings[1]
    for embedding in response.embeddings:
        assert sum(value * value for value in embedding.values) == pytest.approx(1.0, abs=1e-5)


async def test_without_embeddings_equal_texts_are_found_and_embed_is_unknown(redis: EmbeddedRedis) -> None:
    async with replica(redis.url, embeddings_enabled=False) as cache:
        assert not (await cache.put(ASKED)).semantic
        assert (await cache.lookup(ASKED)).HasField("hit")
        missed = await cache.lookup(REPHRASED)
        assert (missed.HasField("hit"), missed.embedding) == (False, b"")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cache.embedding.Embed(pb.EmbedRequest(texts=["x"]), metadata=caller())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
