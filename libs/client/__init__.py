"""The Python client: a thin, typed face over the generated stubs and the mesh channel."""

from libs.client.aio import AgentMesh
from libs.client.replies import Conversation, JobUpdate, Reply
from libs.client.sync import SyncAgentMesh

__all__ = ["AgentMesh", "Conversation", "JobUpdate", "Reply", "SyncAgentMesh"]
