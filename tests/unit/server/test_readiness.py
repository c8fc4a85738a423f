import asyncio

import pytest
import structlog.testing

from libs.core.errors import MeshError, Reason
from libs.server.readiness import Readiness, ReadinessOptions
from libs.telemetry.telemetry import Telemetry
from libs.testing.clock import ManualClock


class Dependency:
    """Answers while it is up."""

    def __init__(self) -> None:
        self.up = True

    async def check(self) -> None:
        if not self.up:
            raise MeshError(Reason.STORE_UNAVAILABLE)


class Listener:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def publish(self, ready: bool) -> None:
        self.told.append(ready)


def readiness(dependency: Dependency, listener: Listener) -> Readiness:
    telemetry = Telemetry.local("test")
    return Readiness({"state": dependency.check}, listener.publish, telemetry, ManualClock())


async def test_nothing_is_ready_before_it_was_asked() -> None:
    checked = readiness(Dependency(), Listener())

    assert not checked.ready
    assert checked.faults() == {"state": "not checked yet"}


async def test_readiness_follows_the_dependency() -> None:
    dependency, listener = Dependency(), Listener()
    checked = readiness(dependency, listener)

    await checked.check()
    dependency.up = False
    await checked.check()
    assert "STORE_UNAVAILABLE" in checked.faults()["state"]
    dependency.up = True
    await checked.check()

    assert listener.told == [True, False, True]
    assert checked.faults() == {}


async def test_a_change_is_logged_once() -> None:
    dependency = Dependency()
    dependency.up = False

    with structlog.testing.capture_logs() as logged:
        checked = readiness(dependency, Listener())
        for _ in range(3):
            await checked.check()
        dependency.up = True
        for _ in range(3):
            await checked.check()

    events = [entry["event"] for entry in logged]
    assert events == ["dependency.lost", "dependency.found"]


async def test_a_service_without_dependencies_is_ready_at_the_first_round() -> None:
    listener = Listener()
    checked = Readiness({}, listener.publish, Telemetry.local("test"), ManualClock())
    assert not checked.ready

    await checked.check()

    assert checked.ready


async def test_a_fault_that_is_a_bug_is_not_taken_for_a_lost_dependency() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    checked = Readiness({"state": broken}, Listener().publish, Telemetry.local("test"), ManualClock())

    with pytest.raises(ExceptionGroup):
        await checked.check()


async def test_one_slow_dependency_does_not_hide_another() -> None:
    async def hangs() -> None:
        await asyncio.Event().wait()

    dependency = Dependency()
    checked = Readiness(
        {"slow": hangs, "state": dependency.check},
        Listener().publish,
        Telemetry.local("test"),
        ManualClock(),
        ReadinessOptions(check_timeout=0.01),
    )

    await checked.check()

    assert set(checked.faults()) == {"slow"}
