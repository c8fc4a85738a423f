"""The ledger's scripts on a real Redis."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.core.clock import SystemClock
from libs.core.errors import MeshError, Reason
from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.conversation.adapters import keys
from services.conversation.adapters.conversations import RedisConversationStore
from services.conversation.adapters.ledger import RedisTurnLedger
from services.conversation.ports import Begun, Busy, Conversation, Done, TurnRequestKey
from services.conversation.turn import Answer, CacheLayer, Message, Owner, Report, Role, Route, Usage
from tests.integration.conversation.durability import every_write_counts
from tests.integration.store.losses import lost

OWNER = Owner("tenant-one", "ada")
CONVERSATION = "cnv_" + "0" * 26
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
KEY = TurnRequestKey(OWNER, CONVERSATION, REQUEST_ID, "digest")
REPORT = Report(
    "model-a",
    Usage(1, 2, 3, 4),
    340,
    0,
    CacheLayer.NONE,
    0.0,
    Route.MODEL,
    0.5,
    ("memory",),
    "a" * 32,
    time_to_first_text=0.25,
    duration=1.5,
    fallback_count=1,
)
ANSWER = Answer(Message("msg_1", Role.ASSISTANT, "Hello \u2764", 1_700_000_000.5, REQUEST_ID), REPORT)


@pytest.fixture
async def conversations(store: Store) -> RedisConversationStore:
    conversations = RedisConversationStore(store)
    await conversations.create(OWNER, REQUEST_ID, Conversation(CONVERSATION, "T", "Be brief.", 1.5, 1.5, 0))
    return conversations


@pytest.fixture
def ledger(store: Store, conversations: RedisConversationStore) -> RedisTurnLedger:
    return RedisTurnLedger(store, lease_seconds=5.0, record_ttl_seconds=60.0)


@pytest.fixture
def hasty(store: Store, conversations: RedisConversationStore) -> RedisTurnLedger:
    """A ledger whose leases end at once."""
    return RedisTurnLedger(store, lease_seconds=0.001, record_ttl_seconds=60.0)


async def expired() -> None:
    await SystemClock().sleep(0.003)


async def test_one_of_many_gets_the_claim(ledger: RedisTurnLedger) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ledger.begin(KEY, f"h{number}")) for number in range(20)]
    claims = [task.result() for task in tasks]
    assert [claim for claim in claims if isinstance(claim, Begun)] == [Begun(1, "Be brief.", "", 0, None)]
    waits = [claim.seconds for claim in claims if isinstance(claim, Busy)]
    assert len(waits) == 19
    assert all(0 < seconds <= 5 for seconds in waits)


async def test_a_holder_that_asks_again_has_the_claim_it_had(ledger: RedisTurnLedger) -> None:
    first = await ledger.begin(KEY, "h1")
    assert await ledger.begin(KEY, "h1") == first


async def test_a_finished_turn_is_done_for_good(ledger: RedisTurnLedger, conversations: RedisConversationStore) -> None:
    await ledger.begin(KEY, "h1")
    assert await ledger.finish(KEY, ANSWER, "turn digest") == ANSWER
    assert await ledger.begin(KEY, "h2") == Done(ANSWER)
    assert await ledger.finish(KEY, ANSWER, "turn digest") == ANSWER
    other = replace(ANSWER, message=replace(ANSWER.message, content="Another"))
    assert await ledger.finish(KEY, other, "turn digest") == ANSWER.as_replay()
    record = await conversations.get(OWNER, CONVERSATION)
    assert record is not None
    assert record.turn_count == 1
    assert abs(record.update_time - SystemClock().time()) < 60


async def test_each_turn_moves_the_fingerprint(ledger: RedisTurnLedger) -> None:
    seen = set()
    for number in range(3):
        key = replace(KEY, request_id=f"{REQUEST_ID[:-1]}{number}")
        begun = await ledger.begin(key, "h1")
        assert isinstance(begun, Begun)
        assert begun.turn_count == number
        seen.add(begun.context_fingerprint)
        await ledger.finish(key, ANSWER, "the same digest")
    assert len(seen) == 3


async def test_a_lease_that_ran_out_goes_to_the_next(hasty: RedisTurnLedger) -> None:
    await hasty.begin(KEY, "h1")
    await expired()
    claim = await hasty.begin(KEY, "h2")
    assert isinstance(claim, Begun)
    assert claim.attempt == 2
    assert not await hasty.renew(KEY, "h1")
    assert await hasty.renew(KEY, "h2")


async def test_a_renewed_lease_lasts(store: Store, hasty: RedisTurnLedger, ledger: RedisTurnLedger) -> None:
    await hasty.begin(KEY, "h1")
    assert await ledger.renew(KEY, "h1")
    await expired()
    assert isinstance(await hasty.begin(KEY, "h2"), Busy)


async def test_only_the_holder_gives_the_claim_back(ledger: RedisTurnLedger) -> None:
    await ledger.begin(KEY, "h1")
    await ledger.abandon(KEY, "h2")
    assert isinstance(await ledger.begin(KEY, "h2"), Busy)
    await ledger.abandon(KEY, "h1")
    claim = await ledger.begin(KEY, "h2")
    assert isinstance(claim, Begun)
    assert claim.attempt == 2


async def test_a_staged_answer_waits_for_the_next_holder(ledger: RedisTurnLedger) -> None:
    await ledger.begin(KEY, "h1")
    with pytest.raises(MeshError) as raised:
        await ledger.stage(KEY, "h2", ANSWER)
    assert raised.value.reason is Reason.REQUEST_IN_PROGRESS
    await ledger.stage(KEY, "h1", ANSWER)
    await ledger.abandon(KEY, "h1")
    assert await ledger.begin(KEY, "h2") == Begun(2, "Be brief.", "", 0, ANSWER)
    await ledger.finish(KEY, ANSWER, "turn digest")
    assert await ledger.begin(KEY, "h3") == Done(ANSWER)


async def test_a_reused_id_is_refused_before_and_after_the_turn(ledger: RedisTurnLedger) -> None:
    await ledger.begin(KEY, "h1")
    for _ in range(2):
        with pytest.raises(MeshError) as raised:
            await ledger.begin(replace(KEY, digest="another"), "h2")
        assert raised.value.reason is Reason.REQUEST_ID_REUSED
        await ledger.finish(KEY, ANSWER, "turn digest")


async def test_missing_and_foreign_and_deleted_conversations_are_not_found(
    ledger: RedisTurnLedger, conversations: RedisConversationStore, store: Store
) -> None:
    await ledger.begin(KEY, "h1")
    await conversations.delete(OWNER, CONVERSATION, REQUEST_ID)
    stranger = replace(KEY, owner=Owner(OWNER.tenant_id, "eve"))
    for attempt in (ledger.begin(KEY, "h1"), ledger.finish(KEY, ANSWER, "d"), ledger.begin(stranger, "h1")):
        with pytest.raises(MeshError) as raised:
            await attempt
        assert raised.value.reason is Reason.NOT_FOUND
    assert await store.execute("EXISTS", keys.turn(OWNER, REQUEST_ID)) == 0


async def test_a_conversation_that_is_being_removed_takes_no_turn(
    ledger: RedisTurnLedger, conversations: RedisConversationStore, store: Store
) -> None:
    await ledger.begin(KEY, "h1")
    await conversations.begin_delete(OWNER, CONVERSATION)
    for attempt in (ledger.begin(KEY, "h1"), ledger.finish(KEY, ANSWER, "d")):
        with pytest.raises(MeshError) as raised:
            await attempt
        assert raised.value.reason is Reason.NOT_FOUND
    assert await store.execute("EXISTS", keys.turn(OWNER, REQUEST_ID)) == 0


async def test_nothing_of_a_turn_stays_for_ever(ledger: RedisTurnLedger, store: Store) -> None:
    await ledger.begin(KEY, "h1")
    assert 0 < int(str(await store.execute("PTTL", keys.turn(OWNER, REQUEST_ID)))) <= 60_000
    await ledger.finish(KEY, ANSWER, "d")
    assert 0 < int(str(await store.execute("PTTL", keys.turn(OWNER, REQUEST_ID)))) <= 60_000


async def test_a_turn_survives_a_dropped_connection_and_a_killed_server(
    ledger: RedisTurnLedger, redis: EmbeddedRedis, store: Store
) -> None:
    await every_write_counts(store)
    await ledger.begin(KEY, "h1")
    redis.kill()
    for attempt in (ledger.begin(KEY, "h1"), ledger.finish(KEY, ANSWER, "d"), ledger.renew(KEY, "h1")):
        with pytest.raises(MeshError) as raised:
            await attempt
        assert raised.value.reason is Reason.STORE_UNAVAILABLE
        assert raised.value.retry_after is not None
    redis.restart()
    await lost(store)
    await ledger.begin(KEY, "h1")
    assert await ledger.finish(KEY, ANSWER, "d") == ANSWER
    async with connect(redis.url) as another:
        again = RedisTurnLedger(another, lease_seconds=5.0, record_ttl_seconds=60.0)
        assert await again.begin(KEY, "h2") == Done(ANSWER)


user_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["a", "a:c", "a}", "{a", "a}:c:x", "%7D", "}", "a:index", "\u00e9", "%"]
)


@given(st.tuples(user_ids, user_ids))
def test_no_user_id_reaches_another_users_keys(users: tuple[str, str]) -> None:
    one, other = (Owner("tenant-one", user) for user in users)
    if one == other:
        return
    assert keys.tag(one) != keys.tag(other)
    mine = {keys.index(one), keys.conversation(one, "x"), keys.turn(one, "x"), keys.job(one, "x")}
    # Nobody's key begins with another's tag, so no suffix a caller chooses can complete one.
    assert not any(key.startswith(keys.tag(other)) for key in mine)
    assert all(key.count("{") == key.count("}") == 1 for key in mine)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=st.tuples(user_ids, user_ids), suffix=st.sampled_from([CONVERSATION, "index", "x:turn:y", "}:c:"]))
def test_no_conversation_of_one_user_is_found_by_another(
    redis: EmbeddedRedis, users: tuple[str, str], suffix: str
) -> None:
    one, other = (Owner("tenant-one", user) for user in users)
    if one == other:
        return

    async def check() -> None:
        async with connect(redis.url) as store:
            conversations = RedisConversationStore(store)
            await store.execute("FLUSHALL")
            await conversations.create(one, REQUEST_ID, Conversation(suffix, "T", "", 1.5, 1.5, 0))
            assert await conversations.get(one, suffix) is not None
            assert await conversations.get(other, suffix) is None
            assert (await conversations.list(other, 10, "")).items == ()

    asyncio.run(check())
