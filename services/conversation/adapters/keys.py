"""The service's key space. Everything of one owner shares a hash tag, so one script may touch all of it."""

from typing import Final
from urllib.parse import quote

from services.conversation.turn import Owner

JOB_QUEUE: Final = "conversation:{jobs}:queue"
OUTBOX_QUEUE: Final = "conversation:{outbox}:queue"


def tag(owner: Owner) -> str:
    """`conversation:{tenant:user}`; user ids are quoted, so that none can imitate another's keys."""
    user = owner.user_id
    return f"conversation:{{{owner.tenant_id}:{user if user.isalnum() else quote(user, safe='')}}}"


def conversation(owner: Owner, conversation_id: str) -> str:
    """The record of a conversation."""
    return f"{tag(owner)}:c:{conversation_id}"


def index(owner: Owner) -> str:
    """The owner's conversations by time of creation."""
    return f"{tag(owner)}:index"


def turn(owner: Owner, request_id: str) -> str:
    """The claim on, and the answer to, a request."""
    return f"{tag(owner)}:turn:{request_id}"


def created(owner: Owner, request_id: str) -> str:
    """Which conversation a CreateConversation made."""
    return f"{tag(owner)}:created:{request_id}"


def deleted(owner: Owner, request_id: str) -> str:
    """Which conversation a DeleteConversation removed."""
    return f"{tag(owner)}:deleted:{request_id}"


def job(owner: Owner, job_id: str) -> str:
    """The record of a job."""
    return f"{tag(owner)}:job:{job_id}"


def submitted(owner: Owner, request_id: str) -> str:
    """Which job a SubmitJob made."""
    return f"{tag(owner)}:submitted:{request_id}"
