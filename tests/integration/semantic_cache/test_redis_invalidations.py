import pytest

from libs.store.connection import Store
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_entries import RedisEntryStore
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.scope import prefix_mark, tag_mark
from tests.integration.memory.commands import calls_of
from tests.integration.semantic_cache.stored import (
    HOUR,
    SHARED,
    TTL,
    alias_of,
    answer,
    entry,
    entry_store,
    keep,
    key,
    new,
    set_clock_back,
    ttl_ms,
)

FLOORS = keys.floors("t1")


@pytest.fixture
def entries(store: Store) -> RedisEntryStore:
    return entry_store(store)


@pytest.fixture
def invalidations(store: Store) -> RedisInvalidationStore:
    return RedisInvalidationStore(store, max_ttl=HOUR)


@pytest.mark.parametrize(
    "mark", [prefix_mark(("shared",)), prefix_mark(("shared", "0", "m")), tag_mark("product:1"), key("a").entry, b""]
)
async def test_what_bears_the_mark_dies_and_what_is_asked_later_lives(
    entries: RedisEntryStore, invalidations: RedisInvalidationStore, mark: bytes
) -> None:
    marks = (*SHARED.marks(), tag_mark("product:1"))
    await keep(entries, "a", marks=marks)
    in_the_making = (await entries.open(key("a"))).asked_at
    await invalidations.invalidate("t1", mark)
    assert await answer(entries, "a") is None
    assert await entries.get_many([key("a")]) == [None]
    assert not await entries.put(key("a"), new(entry("a", in_the_making, marks=marks)))
    kept = await keep(entries, "a", marks=marks)
    assert await answer(entries, "a") == kept
    await invalidations.invalidate("t1", mark)
    assert await answer(entries, "a") is None


async def test_what_does_not_bear_the_mark_lives(
    entries: RedisEntryStore, invalidations: RedisInvalidationStore
) -> None:
    kept = await keep(entries, "a", marks=(*SHARED.marks(), tag_mark("product:1")))
    in_the_making = entry("b", (await entries.open(key("b"))).asked_at)
    for mark in (prefix_mark(("shared", "1")), tag_mark("product:2"), key("b").entry):
        await invalidations.invalidate("t1", mark)
    assert await answer(entries, "a") == kept
    assert not await entries.put(key("b"), new(in_the_making))
    await invalidations.invalidate("t2", b"")
    assert await answer(entries, "a") == kept


async def test_all_marks_of_an_entry_count(entries: RedisEntryStore, invalidations: RedisInvalidationStore) -> None:
    marks = tuple(tag_mark(str(number)) for number in range(23))
    for mark in marks:
        await keep(entries, "a", marks=marks)
        await invalidations.invalidate("t1", mark)
        assert await answer(entries, "a") is None


async def test_a_question_whose_answer_was_found_wrong_is_no_alias_of_it(
    entries: RedisEntryStore, store: Store, invalidations: RedisInvalidationStore
) -> None:
    kept = await keep(entries, "a")
    await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
    await invalidations.invalidate("t1", key("b").entry)
    assert (await entries.open(key("b"))).kept is None
    await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
    assert await store.execute("EXISTS", keys.entry(key("b"))) == 0
    assert await answer(entries, "a") == kept
    # A later answer has not been found wrong.
    await entries.put(key("a"), new(entry("a", 0)))
    await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
    assert (await entries.open(key("b"))).kept is not None


async def test_an_alias_of_an_invalidated_entry_is_dead(
    entries: RedisEntryStore, invalidations: RedisInvalidationStore
) -> None:
    await keep(entries, "a")
    await entries.put_alias(key("b"), alias_of("a"), TTL, "u1")
    await invalidations.invalidate("t1", key("a").entry)
    assert (await entries.open(key("b"))).kept is None


async def test_who_asks_is_told_since_when_answers_were_found_wrong_for_it(
    entries: RedisEntryStore, invalidations: RedisInvalidationStore
) -> None:
    kept = await keep(entries, "a")
    assert (await entries.open(key("b"))).barred == 0
    _, cursor, _ = await invalidations.announced("")
    await invalidations.invalidate("t1", key("b").entry)
    ((announced,), _, _) = await invalidations.announced(cursor)
    for lease_seconds in (0.0, 5.0, 5.0):
        opened = await entries.open(key("b"), lease_seconds)
        assert (opened.kept, opened.barred) == (None, announced.at)
    assert kept.asked_at < opened.barred < opened.asked_at
    assert (await entries.open(key("a"))).barred == 0
    await keep(entries, "b")
    assert (await entries.open(key("b"))).barred == announced.at


async def test_a_mark_has_eight_or_twenty_bytes(invalidations: RedisInvalidationStore) -> None:
    for mark in (b"epoch", b"high", b"forgotten", b"x" * 40):
        with pytest.raises(ValueError, match="mark"):
            await invalidations.invalidate("t1", mark)


async def test_marks_are_forgotten_when_nothing_can_bear_them(
    entries: RedisEntryStore, store: Store, invalidations: RedisInvalidationStore
) -> None:
    await keep(entries, "a")
    asked_at = (await entries.open(key("b"))).asked_at
    await invalidations.invalidate("t1", tag_mark("old"))
    # Two days later: the same as a clock that was set back by so much.
    await set_clock_back(store, FLOORS, 48 * HOUR)
    await invalidations.invalidate("t1", tag_mark("new"))
    assert await store.execute("ZSCORE", FLOORS, tag_mark("old")) is None
    assert await store.execute("ZSCORE", FLOORS, tag_mark("new")) is not None
    # What takes that long to make might bear one that is forgotten.
    assert not await entries.put(key("b"), new(entry("b", asked_at)))
    assert await keep(entries, "b", marks=(tag_mark("old"),)) == await answer(entries, "b")
    assert await answer(entries, "a") is not None


async def test_a_tenant_with_too_many_marks_begins_anew(entries: RedisEntryStore, store: Store) -> None:
    few = RedisInvalidationStore(store, HOUR, most_marks=3)
    await keep(entries, "a")
    _, cursor, _ = await few.announced("")
    for number in range(3):
        await few.invalidate("t1", tag_mark(str(number)))
    assert await answer(entries, "a") is not None
    await few.invalidate("t1", tag_mark("one more"))
    assert await answer(entries, "a") is None
    assert await store.execute("ZCARD", FLOORS) == 3
    announced, _, _ = await few.announced(cursor)
    assert [each.mark for each in announced] == [*(tag_mark(str(number)) for number in range(3)), b""]


async def test_all_replicas_hear_of_it_once(
    entries: RedisEntryStore, store: Store, invalidations: RedisInvalidationStore
) -> None:
    kept = await keep(entries, "a")
    await invalidations.invalidate("t1", tag_mark("before"))
    nothing, cursor, complete = await invalidations.announced("")
    assert (nothing, complete) == ([], True)
    assert cursor
    await invalidations.invalidate("t1", tag_mark("x"))
    await invalidations.invalidate("t2", b"")
    announced, cursor, complete = await RedisInvalidationStore(store, HOUR).announced(cursor)
    assert complete
    assert [(each.tenant_id, each.mark) for each in announced] == [("t1", tag_mark("x")), ("t2", b"")]
    assert announced[0].at > kept.asked_at
    # Later than what was announced, so that it is allowed by whoever heard of it.
    assert (await entries.open(key("b"))).asked_at > announced[0].at
    assert await invalidations.announced(cursor) == ([], cursor, True)
    assert await ttl_ms(store, keys.ANNOUNCEMENTS) > 0


async def test_the_first_announcement_of_all_is_heard(invalidations: RedisInvalidationStore) -> None:
    _, cursor, _ = await invalidations.announced("")
    await invalidations.invalidate("t\u00e9nant {1}", tag_mark("x"))
    announced, _, complete = await invalidations.announced(cursor)
    assert ([each.tenant_id for each in announced], complete) == (["t\u00e9nant {1}"], True)


async def test_very_many_announcements_are_heard_at_once(invalidations: RedisInvalidationStore) -> None:
    _, cursor, _ = await invalidations.announced("")
    for number in range(201):
        await invalidations.invalidate("t1", tag_mark(str(number)))
    announced, _, complete = await invalidations.announced(cursor)
    assert ([each.mark for each in announced], complete) == ([tag_mark(str(number)) for number in range(201)], True)


@pytest.mark.parametrize("loss", [("XTRIM", keys.ANNOUNCEMENTS, "MAXLEN", "1"), ("DEL", keys.ANNOUNCEMENTS)])
async def test_who_missed_something_is_told_so(
    store: Store, invalidations: RedisInvalidationStore, loss: tuple[str, ...]
) -> None:
    await invalidations.invalidate("t1", tag_mark("0"))
    _, cursor, _ = await invalidations.announced("")
    for number in range(3):
        await invalidations.invalidate("t1", tag_mark(str(number)))
    await store.execute(*loss)
    for after in (False, True):
        announced, caught_up, complete = await invalidations.announced(cursor)
        assert (announced, complete) == ([], False)
        if not after:
            await invalidations.invalidate("t1", tag_mark("later"))
    again = await invalidations.announced(caught_up)
    assert again == ([], caught_up, True)


async def test_who_saw_nothing_yet_and_missed_the_first_is_told_so(
    store: Store, invalidations: RedisInvalidationStore
) -> None:
    _, cursor, _ = await invalidations.announced("")
    for number in range(3):
        await invalidations.invalidate("t1", tag_mark(str(number)))
    await store.execute("XTRIM", keys.ANNOUNCEMENTS, "MAXLEN", 2)
    announced, _, complete = await invalidations.announced(cursor)
    assert (announced, complete) == ([], False)


async def test_invalidating_is_two_round_trips(store: Store, invalidations: RedisInvalidationStore) -> None:
    await invalidations.invalidate("t1", tag_mark("x"))
    scripts = await calls_of(store, "evalsha")
    await invalidations.invalidate("t1", tag_mark("x"))
    assert await calls_of(store, "evalsha") - scripts == 2
