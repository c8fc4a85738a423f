from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from libs.testing.clock import ManualClock
from services.semantic_cache.entry import Kept
from services.semantic_cache.floors import Floors
from services.semantic_cache.ports import Announcement
from services.semantic_cache.scope import Key, prefix_mark, tag_mark, user_mark
from tests.unit.semantic_cache.entries import alias_of, entry, entry_of, question
from tests.unit.semantic_cache.properties import seeded

TRUST = 0.4
ASKED = question("How do I reset my password?")
OTHER = question("Where is the harbour?")


def floors(clock: ManualClock, *announcements: Announcement) -> Floors:
    heard = Floors(clock, TRUST)
    heard.hear(announcements, clock.monotonic())
    return heard


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_trust_takes_time(clock: ManualClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="trust_seconds"):
        Floors(clock, seconds)


def test_nothing_is_trusted_before_the_first_word(clock: ManualClock) -> None:
    assert not Floors(clock, TRUST).trusted


def test_trust_ends_a_while_after_the_question_was_sent_not_after_its_answer_came(clock: ManualClock) -> None:
    heard = Floors(clock, TRUST)
    sent = clock.monotonic()
    clock.advance(0.3)
    heard.hear([], sent)
    assert heard.trusted
    clock.advance(0.11)
    assert not heard.trusted
    heard.hear([], clock.monotonic())
    assert heard.trusted


def test_a_word_that_comes_late_does_not_shorten_trust(clock: ManualClock) -> None:
    heard = floors(clock)
    heard.hear([], clock.monotonic() - 10.0)
    assert heard.trusted


@pytest.mark.parametrize(
    "mark",
    [
        b"",
        ASKED.key.entry,
        prefix_mark(("shared",)),
        prefix_mark(ASKED.scope.path()),
        user_mark("u1"),
        tag_mark("product:1"),
    ],
)
def test_what_bears_the_mark_and_was_asked_for_before_is_dead(clock: ManualClock, mark: bytes) -> None:
    heard = floors(clock, Announcement("t1", mark, 100))
    marked = entry_of(ASKED)
    marked = replace(marked, marks=(*marked.marks, tag_mark("product:1")))
    assert not heard.allows(ASKED.key, Kept(replace(marked, asked_at=99)))
    # The instant of an invalidation is later than all that were given out, so this is one of those that follow.
    assert heard.allows(ASKED.key, Kept(replace(marked, asked_at=100)))


@pytest.mark.parametrize(
    "mark", [OTHER.key.entry, prefix_mark(("user:u1",)), prefix_mark(("shared", "2")), user_mark("u2"), tag_mark("x")]
)
def test_what_does_not_bear_it_lives(clock: ManualClock, mark: bytes) -> None:
    assert floors(clock, Announcement("t1", mark, 100)).allows(ASKED.key, Kept(entry_of(ASKED, asked_at=1)))


def test_a_tenants_invalidation_is_its_own(clock: ManualClock) -> None:
    heard = floors(clock, Announcement("t2", b"", 100), Announcement("t2", prefix_mark(("shared",)), 100))
    assert heard.allows(ASKED.key, Kept(entry_of(ASKED, asked_at=1)))


def test_an_alias_dies_with_its_target_and_with_its_own_text(clock: ManualClock) -> None:
    kept = alias_of(OTHER, entry_of(OTHER, asked_at=50))
    assert floors(clock).allows(ASKED.key, kept)
    assert not floors(clock, Announcement("t1", OTHER.key.entry, 100)).allows(ASKED.key, kept)
    wrong_for_asked = floors(clock, Announcement("t1", ASKED.key.entry, 100))
    assert not wrong_for_asked.allows(ASKED.key, kept)
    assert wrong_for_asked.allows(OTHER.key, Kept(kept.entry))


def test_an_older_announcement_that_comes_later_takes_nothing_back(clock: ManualClock) -> None:
    heard = floors(clock, Announcement("t1", b"tag", 100), Announcement("t1", b"tag", 50))
    assert not heard.allows(ASKED.key, Kept(entry(asked_at=70, marks=(b"tag",))))


def test_too_many_to_remember_and_everything_of_the_tenant_is_dead(clock: ManualClock) -> None:
    many = [Announcement("t1", number.to_bytes(8, "big"), 100 + number) for number in range(10_001)]
    heard = floors(clock, *many)
    last = many[-1].at
    assert not heard.allows(ASKED.key, Kept(entry_of(ASKED, asked_at=last - 1)))
    assert heard.allows(ASKED.key, Kept(entry_of(ASKED, asked_at=last)))
    assert heard.allows(replace(ASKED.key, tenant_id="t2"), Kept(entry_of(ASKED, asked_at=1)))


def test_what_concerned_nobody_any_more_is_forgotten(clock: ManualClock) -> None:
    heard = floors(clock, Announcement("t1", b"old", 100), Announcement("t1", b"new", 200))
    heard.forget(200)
    assert heard.allows(ASKED.key, Kept(entry(asked_at=50, marks=(b"old",))))
    assert not heard.allows(ASKED.key, Kept(entry(asked_at=50, marks=(b"new",))))
    heard.forget(201)
    assert "0 tenants" in repr(heard)


tenants = st.sampled_from(["t1", "t2"])
marks = st.sampled_from([b"a", b"b", b"c", b"d", b""])


class FloorsMachine(RuleBasedStateMachine):
    """Against a list of all that was ever announced: what it killed is never allowed again."""

    def __init__(self) -> None:
        super().__init__()
        self.floors = Floors(ManualClock(), TRUST)
        self.said: list[Announcement] = []
        self.forgotten = 0

    @rule(tenant=tenants, mark=marks, at=st.integers(1, 100))
    def announce(self, tenant: str, mark: bytes, at: int) -> None:
        # Not older than what is forgotten: that concerns nothing that lives.
        said = Announcement(tenant, mark, self.forgotten + at)
        self.said.append(said)
        self.floors.hear([said], 0.0)

    @rule(before=st.integers(0, 30))
    def forget(self, before: int) -> None:
        self.forgotten += before
        self.floors.forget(self.forgotten)

    @rule(tenant=tenants, asked_at=st.integers(0, 150), borne=st.lists(marks.filter(bool), max_size=3))
    def ask(self, tenant: str, asked_at: int, borne: list[bytes]) -> None:
        asked_at += self.forgotten
        kept = Kept(entry(asked_at=asked_at, marks=tuple(borne)))
        said = [each for each in self.said if each.tenant_id == tenant]
        dead = any(each.at > asked_at for each in said if each.mark in (b"", *borne))
        allowed = self.floors.allows(Key(tenant, b"s", b"question"), kept)
        if any(each.mark == b"" for each in said):
            # What was invalidated one by one may have been lost in it, and counts as everything.
            assert not (dead and allowed)
            assert allowed or any(each.at > asked_at for each in said)
        else:
            assert allowed is not dead


TestFloorsMachine = FloorsMachine.TestCase
TestFloorsMachine.settings = settings(seeded, max_examples=100, stateful_step_count=40)
