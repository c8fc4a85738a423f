from collections.abc import Sequence

from services.memory.ports import Appended, ConversationKey, History, Record, Slice, Tail


class FakeHistory(History):
    """Conversations in a dictionary."""

    def __init__(self) -> None:
        self.turns: dict[ConversationKey, dict[str, list[Record]]] = {}
        self.deleted: set[ConversationKey] = set()

    async def append(self, key: ConversationKey, request_id: str, records: Sequence[Record]) -> Appended:
        turns = self.turns.setdefault(key, {})
        duplicate = request_id in turns or key in self.deleted
        if not duplicate:
            turns[request_id] = list(records)
        return Appended(len(self._all(key)), duplicate)

    async def tail(self, key: ConversationKey, max_tokens: int, max_messages: int, at_least: int = 0) -> Tail:
        everything = self._all(key)
        kept: list[Record] = []
        for record in reversed(everything[-max_messages:]):
            if len(kept) >= at_least and sum(each.tokens for each in kept) + record.tokens > max_tokens:
                break
            kept.insert(0, record)
        return Tail(tuple(kept), len(everything))

    async def slice(self, key: ConversationKey, request_id: str, offset: int, limit: int) -> Slice:
        records = self.turns.get(key, {}).get(request_id, []) if request_id else self._all(key)
        chosen = records[offset : offset + limit]
        return Slice(tuple(record.body for record in chosen), offset + limit < len(records))

    async def delete(self, key: ConversationKey, request_id: str) -> int:
        count = len(self._all(key))
        self.turns.pop(key, None)
        self.deleted.add(key)
        return count

    def _all(self, key: ConversationKey) -> list[Record]:
        return [record for turn in self.turns.get(key, {}).values() for record in turn]
