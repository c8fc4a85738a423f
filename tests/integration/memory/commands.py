"""What Redis was asked for."""

from libs.store.connection import Store
from libs.store.replies import blob


async def calls_of(store: Store, command: str) -> int:
    """How often `command` (lower case) has run since the server started."""
    statistics = blob(await store.execute("INFO", "commandstats")).decode()
    for line in statistics.splitlines():
        if line.startswith(f"cmdstat_{command}:calls="):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0
