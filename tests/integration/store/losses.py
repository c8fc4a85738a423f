"""What the synchronous embedded server keeps the event loop from noticing."""

from libs.core.errors import MeshError
from libs.store.connection import Store


async def lost(store: Store) -> None:
    """Return once the store has noticed that its connection is gone: the server went while the loop stood still."""
    try:
        await store.ping()
    except MeshError:
        return
