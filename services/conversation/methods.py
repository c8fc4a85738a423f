"""How calls of each method are treated: scopes, time limits, validation."""

from collections.abc import Mapping
from typing import Final

from libs.server.spec import Access, MethodPolicy, Validate
from services.conversation import validation
from services.conversation.settings import Settings

_CHAT: Final = "chat"
_MODEL_SECONDS: Final = 120.0
# A watch ends by itself a little sooner; see `JobService.watch`.
_WATCH_SECONDS: Final = 600.0


def policies(settings: Settings) -> Mapping[str, MethodPolicy]:
    """The policy of every method of the service."""
    say = validation.say(settings.max_content_bytes)
    conversation = {
        "CreateConversation": _user(validate=validation.create(settings.max_system_prompt_bytes)),
        "GetConversation": _user(validate=validation.conversation),
        "ListConversations": _user(validate=validation.conversations),
        "DeleteConversation": _user(validate=validation.delete),
        "ListMessages": _user(validate=validation.messages),
        "SendMessage": _user(_MODEL_SECONDS, say),
        "StreamMessage": _user(_MODEL_SECONDS, say),
    }
    job = {
        "SubmitJob": _user(validate=say),
        "GetJob": _user(validate=validation.job),
        "WatchJob": _user(_WATCH_SECONDS, validation.watch),
        "CancelJob": _user(validate=validation.cancel),
    }
    return {
        f"/agentmesh.conversation.v1.{service}/{method}": policy
        for service, methods in (("ConversationService", conversation), ("JobService", job))
        for method, policy in methods.items()
    }


def _user(timeout: float = 30.0, validate: Validate | None = None) -> MethodPolicy:
    return MethodPolicy(Access.USER, _CHAT, timeout, validate)
