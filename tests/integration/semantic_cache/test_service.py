import struct

import grpc
import pytest

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.core.errors import Code, Reason
from libs.store.connection import Store
from libs.store.embedded import EmbeddedRedis
from tests.integration.memory.commands import calls_of
from tests.integration.semantic_cache.replica import Metadata, Replica, caller, refusal, replica, scope

ASKED = "How do I reset my password?"
REPHRASED = "How can I reset the password?"
OTHER = "Where is the nearest harbour?"


async def test_a_miss_a_put_and_a_hit(cache: Replica) -> None:
    assert not (await cache.lookup(ASKED)).HasField("hit")
    assert (await cache.put(ASKED, "Click on it.")).semantic
    hit = (await cache.lookup(ASKED)).hit
    assert (hit.answer, hit.model, hit.cost_usd_micros) == ("Click on it.", "claude-haiku-5-5", 1200)
    assert (hit.layer, hit.similarity) == (types_pb2.CACHE_LAYER_EXACT_MEMORY, 1.0)
    assert (hit.usage.input_tokens, hit.usage.output_tokens) == (5, 7)


async def test_a_rephrasing_hits_once_its_embedding_is_there(cache: Replica) -> None:
    await cache.put(ASKED)
    await cache.enriched(1)
    hit = (await cache.lookup(REPHRASED)).hit
    assert hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert 0.9 <= hit.similarity < 1.0


async def test_the_embedding_of_a_miss_serves_the_put(cache: Replica) -> None:
    await cache.put(OTHER)
    await cache.enriched(1)
    missed = await cache.lookup(ASKED)
    assert len(missed.embedding) > 0
    await cache.put(ASKED, embedding=missed.embedding)
    assert (await cache.lookup(REPHRASED)).hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
    assert (await cache.statistics())["backlog"]["dropped"] == 0


async def test_an_exact_hit_in_memory_costs_no_round_trip_and_others_cost_one(
    redis: EmbeddedRedis, store: Store, cache: Replica
) -> None:
    await cache.put(ASKED, where=scope(personal=True))
    async with replica(redis.url) as other:
        gets = await calls_of(store, "get")
        scripts = await calls_of(store, "evalsha")
        hit = (await other.lookup(ASKED, where=scope(personal=True))).hit
        assert hit.layer == types_pb2.CACHE_LAYER_EXACT_REDIS
        assert await calls_of(store, "get") - gets == 1
        hit = (await other.lookup(ASKED, where=scope(personal=True))).hit
        assert hit.layer == types_pb2.CACHE_LAYER_EXACT_MEMORY
        assert await calls_of(store, "get") - gets == 1
        # The tallies of both replicas are scripts, and theirs alone.
        assert await calls_of(store, "evalsha") - scripts <= await calls_of(store, "hincrby")


async def test_entries_survive_a_restart_of_the_service(redis: EmbeddedRedis) -> None:
    async with replica(redis.url) as first:
        await first.put(ASKED)
        await first.enriched(1)
    async with replica(redis.url) as second:
        assert (await second.lookup(REPHRASED)).hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
        assert (await second.lookup(ASKED)).hit.layer == types_pb2.CACHE_LAYER_EXACT_REDIS


@pytest.mark.parametrize("who", [caller(tenant="t2"), caller(tenant="t2", user="u2")])
async def test_another_tenant_finds_nothing(cache: Replica, who: Metadata) -> None:
    await cache.put(ASKED)
    await cache.enriched(1)
    for text in (ASKED, REPHRASED):
        assert not (await cache.lookup(text, who=who)).HasField("hit")


async def test_another_user_finds_nothing_personal(cache: Replica) -> None:
    personal = scope(personal=True)
    assert not (await cache.put(ASKED, where=personal)).semantic
    for who in (caller(user="u2"), caller(tenant="t2")):
        assert not (await cache.lookup(ASKED, who=who, where=personal)).HasField("hit")
    assert not (await cache.lookup(ASKED)).HasField("hit")
    assert not (await cache.lookup(REPHRASED, where=personal)).HasField("hit")
    assert (await cache.lookup(ASKED, where=personal)).HasField("hit")
    assert (await cache.statistics())["embeddings"]["embedded"] == 0


async def test_another_context_finds_nothing(cache: Replica) -> None:
    await cache.put(ASKED, where=scope(context="digest"))
    assert not (await cache.lookup(ASKED)).HasField("hit")


async def test_the_counters_tell_what_was_saved(cache: Replica) -> None:
    await cache.lookup(ASKED)
    await cache.put(ASKED)
    await cache.enriched(1)
    await cache.lookup(ASKED)
    await cache.lookup(REPHRASED)
    await cache.lookup(ASKED, who=caller(tenant="t2"))
    stats = await cache.stub.GetStats(pb.GetStatsRequest(), metadata=caller(audience="agentmesh"))
    assert stats == pb.GetStatsResponse(
        lookup_count=3,
        exact_memory_hit_count=1,
        semantic_hit_count=1,
        put_count=1,
        saved_usd_micros=2400,
        indexed_entry_count=1,
    )


async def test_lookups_are_measured_by_layer(cache: Replica) -> None:
    await cache.lookup(ASKED)
    await cache.put(ASKED)
    await cache.lookup(ASKED)
    exposed = cache.telemetry.metrics.exposition()
    assert b'agentmesh_cache_lookups_total{layer="miss"} 1.0' in exposed
    assert b'agentmesh_cache_lookups_total{layer="exact_memory"} 1.0' in exposed


async def test_clients_may_ask_for_their_counters_and_nothing_else(cache: Replica) -> None:
    client = caller(audience="agentmesh")
    for call in (cache.lookup(ASKED, who=client), cache.put(ASKED, who=client)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert refusal(caught).code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


async def test_bad_input_is_named(cache: Replica) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cache.lookup("")
    assert [violation.field for violation in refusal(caught).violations] == ["text"]
    for embedding in (b"123", struct.pack("<3f", 1.0, 0.0, 0.0), struct.pack("<64f", *[float("nan")] * 64)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await cache.put(ASKED, embedding=embedding)
        assert [violation.field for violation in refusal(caught).violations] == ["embedding"]


async def test_without_redis_lookups_miss_and_puts_say_so(redis: EmbeddedRedis, cache: Replica) -> None:
    await cache.put(ASKED)
    redis.kill()
    assert not (await cache.lookup(OTHER)).HasField("hit")
    assert (await cache.lookup(ASKED)).HasField("hit")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cache.put(OTHER)
    error = refusal(caught)
    assert error.reason is Reason.STORE_UNAVAILABLE
    assert error.retry_after is not None
    assert await cache.ready()
    assert b'agentmesh_cache_lookups_total{layer="unavailable"} 1.0' in cache.telemetry.metrics.exposition()
    redis.restart()
    await cache.put(OTHER)
    assert (await cache.lookup(OTHER)).HasField("hit")


async def test_embed_gives_unit_vectors_in_order(cache: Replica) -> None:
    response = await cache.embedding.Embed(pb.EmbedRequest(texts=[ASKED, OTHER, ASKED]), metadata=caller())
    assert response.model == "fake"
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
