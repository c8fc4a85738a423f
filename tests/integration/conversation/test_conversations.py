"""Conversation records on a real Redis."""

import pytest

from libs.core.errors import MeshError, Reason
from libs.core.ids import sortable_id
from libs.store.connection import Store
from libs.testing.clock import ManualClock
from services.conversation.adapters.conversations import RedisConversationStore
from services.conversation.ports import Conversation
from services.conversation.turn import Owner

OWNER = Owner("tenant-one", "ada")
STRANGER = Owner("tenant-one", "eve")


@pytest.fixture
def conversations(store: Store) -> RedisConversationStore:
    return RedisConversationStore(store)


def request(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


async def fill(conversations: RedisConversationStore, count: int) -> list[str]:
    """Conversations of which groups of four were made in the same millisecond; the latest first."""
    clock = ManualClock()
    made = []
    for number in range(count):
        if number % 4 == 0:
            clock.advance(0.001)
        new = Conversation(sortable_id("cnv", clock), f"T{number}", "P", clock.time(), clock.time(), 0)
        made.append((await conversations.create(OWNER, request(number), new)).conversation_id)
    return sorted(made, reverse=True)


@pytest.mark.parametrize("size", [1, 3, 4, 9, 10, 100])
async def test_pages_are_exact_also_within_one_millisecond(conversations: RedisConversationStore, size: int) -> None:
    made = await fill(conversations, 10)
    seen: list[str] = []
    token = ""
    pages = 0
    while True:
        page = await conversations.list(OWNER, size, token)
        seen += [record.conversation_id for record in page.items]
        token = page.next_token
        pages += 1
        if not token:
            break
    assert seen == made
    assert pages == -(-10 // size)


async def test_a_page_goes_on_where_it_was_whatever_is_removed(conversations: RedisConversationStore) -> None:
    made = await fill(conversations, 6)
    page = await conversations.list(OWNER, 2, "")
    await conversations.delete(OWNER, made[1], request(100))
    rest = await conversations.list(OWNER, 10, page.next_token)
    assert [record.conversation_id for record in rest.items] == made[2:]


async def test_nobody_elses_conversations_are_there(conversations: RedisConversationStore) -> None:
    made = await fill(conversations, 1)
    assert await conversations.get(OWNER, made[0]) is not None
    assert await conversations.get(STRANGER, made[0]) is None
    assert await conversations.get(OWNER, "missing") is None
    assert (await conversations.list(STRANGER, 10, "")).items == ()
    await conversations.delete(STRANGER, made[0], request(100))
    assert await conversations.get(OWNER, made[0]) is not None


@pytest.mark.parametrize("token", ["x", "!!!!", "\u00e9", "Y252X3g=", "Kw=="])
async def test_a_token_that_was_not_given_is_refused(conversations: RedisConversationStore, token: str) -> None:
    with pytest.raises(MeshError) as raised:
        await conversations.list(OWNER, 10, token)
    assert raised.value.reason is Reason.INVALID_PAGE_TOKEN


async def test_a_token_with_something_between_is_refused(conversations: RedisConversationStore) -> None:
    await fill(conversations, 3)
    token = (await conversations.list(OWNER, 1, "")).next_token
    assert len((await conversations.list(OWNER, 10, token)).items) == 2
    for wrong in (f"{token[:8]}!{token[8:]}", f"{token}\n", f" {token}", f"{token}="):
        with pytest.raises(MeshError) as raised:
            await conversations.list(OWNER, 10, wrong)
        assert raised.value.reason is Reason.INVALID_PAGE_TOKEN


async def test_a_conversation_that_is_being_removed_is_missing_until_it_is_removed(
    conversations: RedisConversationStore,
) -> None:
    made = await fill(conversations, 2)
    assert not await conversations.begin_delete(STRANGER, made[0])
    assert not await conversations.begin_delete(OWNER, "missing")
    for _ in range(2):
        assert await conversations.begin_delete(OWNER, made[0])
    assert await conversations.get(OWNER, made[0]) is None
    assert [record.conversation_id for record in (await conversations.list(OWNER, 10, "")).items] == made[1:]
    await conversations.delete(OWNER, made[0], request(100))
    assert not await conversations.begin_delete(OWNER, made[0])
    assert await conversations.deleted_by(OWNER, request(100)) == made[0]


async def test_the_id_of_another_creation_is_refused(conversations: RedisConversationStore) -> None:
    clock = ManualClock()
    new = Conversation(sortable_id("cnv", clock), "T", "P", 1.25, 1.25, 0)
    await conversations.create(OWNER, request(1), new)
    for title, system_prompt in (("T", "Another"), ("Another", "P"), ("TP", "")):
        other = Conversation(sortable_id("cnv", clock), title, system_prompt, 1.25, 1.25, 0)
        with pytest.raises(MeshError) as raised:
            await conversations.create(OWNER, request(1), other)
        assert raised.value.reason is Reason.REQUEST_ID_REUSED


async def test_the_same_request_makes_one_conversation_even_after_it_changed(
    conversations: RedisConversationStore,
) -> None:
    clock = ManualClock()
    news = [Conversation(sortable_id("cnv", clock), "T", "P", 1.25, 1.25, 0) for _ in range(2)]
    assert await conversations.create(OWNER, request(1), news[0]) == news[0]
    assert await conversations.create(OWNER, request(1), news[1]) == news[0]
    assert await conversations.get(OWNER, news[1].conversation_id) is None
    await conversations.delete(OWNER, news[0].conversation_id, request(2))
    assert await conversations.deleted_by(OWNER, request(2)) == news[0].conversation_id
    assert await conversations.deleted_by(OWNER, request(3)) == ""
    # A late duplicate of the creation must not answer with a conversation that is not there.
    with pytest.raises(MeshError) as raised:
        await conversations.create(OWNER, request(1), news[1])
    assert raised.value.reason is Reason.NOT_FOUND
