"""What a test needs that kills Redis and counts on its last write."""

from libs.store.connection import Store


async def every_write_counts(store: Store) -> None:
    """Write each command through to the disk before it is answered, until the server starts anew."""
    await store.execute("CONFIG", "SET", "appendfsync", "always")
