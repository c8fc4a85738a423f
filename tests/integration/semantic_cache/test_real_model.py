"""The real model behind the real service: which rephrasings may be served, and which lookalikes never."""

import math

import pytest

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from agentmesh.types.v1 import types_pb2
from libs.store.embedded import EmbeddedRedis
from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.model_folder import locate
from tests.integration.semantic_cache.replica import caller, replica, scope

REPHRASINGS = [
    ("What is the capital of France?", "Can you tell me what the capital of France is?"),
    ("What is the capital of Portugal?", "Which city is the capital of Portugal?"),
    ("How do I reset my password?", "What are the steps to reset my password?"),
    ("How do I get a refund?", "How can I get a refund?"),
    ("Who wrote Hamlet?", "Who is the author of Hamlet?"),
    ("Explain how photosynthesis works", "How does photosynthesis work?"),
]
LOOKALIKES = [
    # Above the threshold, 0.955 to 0.994: guards keep them apart, not the distance.
    ("Is it safe to take ibuprofen with alcohol?", "Is it not safe to take ibuprofen with alcohol?"),
    ("Why is my card working?", "Why is my card not working?"),
    (
        "Can I fly with a passport that expires in two months?",
        "Can I fly with a passport that expires in three months?",
    ),
    ("Transfer from savings to checking", "Transfer from checking to savings"),
    ("Is Python faster than Java?", "Is Java faster than Python?"),
    ("What is 17*3?", "What is 17+3?"),
    ("What is 2^10?", "What is 2*10?"),
    (
        "Write a short email to John about the Monday meeting",
        "Write a short email to Jane about the Tuesday meeting",
    ),
    ("My name is Anna, write me a greeting", "My name is Anne, write me a greeting"),
    # Below it.
    ("What is the capital of Italy?", "What is the capital of Germany?"),
    ("Is my warranty valid for 12 months?", "Is my warranty valid for 24 months?"),
    ("How do I enable two-factor authentication?", "How do I disable two-factor authentication?"),
]


@pytest.fixture(scope="module")
def model() -> SentenceTransformerModel:
    """Loaded once: it takes seconds."""
    return SentenceTransformerModel(locate(""), threads=2)


async def test_rephrasings_hit_and_lookalikes_do_not(redis: EmbeddedRedis, model: SentenceTransformerModel) -> None:
    # A tenant that takes every risk: what keeps lookalikes apart is not the rate, and no audits wait for knowledge.
    daring = {"t1": {"max_wrong_rate": 0.5}}
    async with replica(redis.url, lambda *_: model, real_model=True, tenant_policies=daring) as cache:
        await cache.learn()
        pairs = REPHRASINGS + LOOKALIKES
        for number, (asked, _) in enumerate(pairs):
            await cache.put(asked, f"answer {number}")
        # All but the one that tells of the speaker.
        await cache.enriched(len(pairs) - 1)
        for number, (_, rephrased) in enumerate(REPHRASINGS):
            response = await cache.served(rephrased)
            assert (rephrased, response.hit.answer) == (rephrased, f"answer {number}")
            assert response.hit.layer == types_pb2.CACHE_LAYER_SEMANTIC
            assert 0.85 <= response.hit.similarity < 1.0
        for _, lookalike in LOOKALIKES:
            told = await cache.lookup(lookalike, explain=True)
            assert (lookalike, told.hit.answer) == (lookalike, "")
            assert all(each.refused_by for each in told.explanation.candidates if each.similarity > 0.8)


async def test_embeddings_are_the_models_own(redis: EmbeddedRedis, model: SentenceTransformerModel) -> None:
    async with replica(redis.url, lambda *_: model, real_model=True) as cache:
        response = await cache.embedding.Embed(pb.EmbedRequest(texts=["hello", "good morning"]), metadata=caller())
        assert response.model == "all-MiniLM-L6-v2"
        assert [len(embedding.values) for embedding in response.embeddings] == [384, 384]
        for embedding in response.embeddings:
            assert math.hypot(*embedding.values) == pytest.approx(1.0, abs=1e-4)


async def test_what_it_cannot_read_whole_is_no_hit(redis: EmbeddedRedis, model: SentenceTransformerModel) -> None:
    # Short, but every sign is a word to the model.
    start = "a, b; " * 90
    assert not model.embed([start])[0].whole
    async with replica(redis.url, lambda *_: model, real_model=True) as cache:
        await cache.put(start + "What about cats?", where=scope())
        await cache.enriched(1)
        assert not (await cache.lookup(start + "What about dogs?")).HasField("hit")
