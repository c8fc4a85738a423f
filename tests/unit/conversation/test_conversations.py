import pytest

from libs.core.errors import MeshError, Reason
from libs.testing.clock import ManualClock
from services.conversation.conversations import Conversations, is_conversation_id
from services.conversation.turn import Owner
from tests.unit.conversation.fakes import OWNER, REQUEST_ID, FakeConversationStore, FakeHistory, down
from tests.unit.conversation.world import other_id

STRANGER = Owner(OWNER.tenant_id, "eve")


@pytest.fixture
def history() -> FakeHistory:
    return FakeHistory()


@pytest.fixture
def conversations(history: FakeHistory) -> Conversations:
    return Conversations(FakeConversationStore(), history, ManualClock())


async def test_the_same_request_makes_one_conversation(conversations: Conversations) -> None:
    made = await conversations.create(OWNER, REQUEST_ID, "T", "P")
    assert is_conversation_id(made.conversation_id)
    assert await conversations.create(OWNER, REQUEST_ID, "T", "P") == made
    assert await conversations.get(OWNER, made.conversation_id) == made


async def test_the_id_of_another_creation_is_refused(conversations: Conversations) -> None:
    await conversations.create(OWNER, REQUEST_ID, "T", "P")
    with pytest.raises(MeshError) as raised:
        await conversations.create(OWNER, REQUEST_ID, "T", "Another")
    assert raised.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_missing_and_a_strangers_conversation_look_the_same(conversations: Conversations) -> None:
    made = await conversations.create(OWNER, REQUEST_ID, "T", "P")
    seen = set()
    for owner, conversation_id in ((OWNER, "missing"), (STRANGER, made.conversation_id)):
        for attempt in (
            conversations.get(owner, conversation_id),
            conversations.messages(owner, conversation_id, 10, ""),
            conversations.delete(owner, conversation_id, REQUEST_ID),
        ):
            with pytest.raises(MeshError) as raised:
                await attempt
            seen.add((raised.value.reason, raised.value.message))
    assert seen == {(Reason.NOT_FOUND, "There is no such conversation.")}


async def test_removing_goes_on_after_a_failure_in_between(conversations: Conversations, history: FakeHistory) -> None:
    made = await conversations.create(OWNER, REQUEST_ID, "T", "P")
    history.fault = down()
    with pytest.raises(MeshError):
        await conversations.delete(OWNER, made.conversation_id, other_id(1))
    history.fault = None
    # Memory may have forgotten it by now, so nobody may add to it.
    with pytest.raises(MeshError) as raised:
        await conversations.get(OWNER, made.conversation_id)
    assert raised.value.reason is Reason.NOT_FOUND
    await conversations.delete(OWNER, made.conversation_id, other_id(1))
    # The answer was lost and the caller asks again: that is no fault. Somebody else's asking is.
    await conversations.delete(OWNER, made.conversation_id, other_id(1))
    with pytest.raises(MeshError):
        await conversations.delete(OWNER, made.conversation_id, other_id(2))


async def test_a_removal_that_was_cut_off_is_taken_up_by_any_other(
    conversations: Conversations, history: FakeHistory
) -> None:
    made = await conversations.create(OWNER, REQUEST_ID, "T", "P")
    history.fault = down()
    with pytest.raises(MeshError):
        await conversations.delete(OWNER, made.conversation_id, other_id(1))
    history.fault = None
    await conversations.delete(OWNER, made.conversation_id, other_id(2))
    assert history.deleted == {made.conversation_id}
