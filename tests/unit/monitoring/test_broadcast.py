import pytest

from services.monitoring.broadcast import Broadcast, NoRoomError


def unexpected() -> None:
    raise AssertionError("this viewer should not have been dropped")


async def test_every_viewer_gets_every_frame() -> None:
    broadcast = Broadcast(max_viewers=2)
    with broadcast.join(unexpected) as one, broadcast.join(unexpected) as other:
        broadcast.publish(b"1")
        broadcast.publish(b"2")
        broadcast.close()

        assert [frame async for frame in one] == [b"1", b"2"]
        assert [frame async for frame in other] == [b"1", b"2"]


async def test_a_late_viewer_begins_with_the_latest_frame() -> None:
    broadcast = Broadcast(max_viewers=2)
    with broadcast.join(unexpected):
        broadcast.publish(b"1")
        broadcast.publish(b"2")
        with broadcast.join(unexpected) as late:
            broadcast.close()

            assert [frame async for frame in late] == [b"2"]


async def test_an_old_frame_is_forgotten_with_its_last_viewer() -> None:
    broadcast = Broadcast(max_viewers=1)
    with broadcast.join(unexpected):
        broadcast.publish(b"old")
    with broadcast.join(unexpected) as viewer:
        assert viewer.behind == 0


async def test_a_slow_viewer_is_dropped_and_the_others_are_not() -> None:
    broadcast = Broadcast(max_viewers=2)
    dropped: list[str] = []
    with broadcast.join(unexpected) as quick, broadcast.join(lambda: dropped.append("slow")):
        frames = quick.__aiter__()
        for number in range(6):
            broadcast.publish(b"%d" % number)
            assert await anext(frames) == b"%d" % number

        assert dropped == ["slow"]
        assert broadcast.statistics() == (1, 1, 0)


async def test_there_is_room_for_so_many_and_then_again() -> None:
    broadcast = Broadcast(max_viewers=1)
    with broadcast.join(unexpected):
        with pytest.raises(NoRoomError), broadcast.join(unexpected):
            pass
        assert broadcast.statistics().refused == 1
    with broadcast.join(unexpected):
        assert broadcast.statistics().viewers == 1


async def test_nobody_gets_in_after_the_end() -> None:
    broadcast = Broadcast(max_viewers=1)
    broadcast.close()
    with pytest.raises(NoRoomError), broadcast.join(unexpected):
        pass
