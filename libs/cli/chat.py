"""`agentmesh chat`: a conversation in the terminal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from libs.cli.state import Access
from libs.client.aio import AgentMesh
from libs.client.replies import Reply
from libs.client.requests import Options
from libs.core.errors import MeshError
from libs.core.money import format_usd

_END = frozenset({"/quit", "/exit"})


async def chat(access: Access, options: Options, system_prompt: str, first: str, console: Console) -> None:
    """Talk until the input ends or `/quit`; with a first message, say that alone and stop."""
    async with AgentMesh(access.target, access.credential) as mesh:
        conversation = await mesh.create_conversation("agentmesh chat", system_prompt)
        if first:
            await say(mesh, conversation.conversation_id, first, options, console)
            return
        console.print("[dim]Type a message; /quit ends.[/dim]")
        while (text := _read(console)) is not None:
            if text:
                await say(mesh, conversation.conversation_id, text, options, console)


async def say(mesh: AgentMesh, conversation_id: str, text: str, options: Options, console: Console) -> Reply | None:
    """Say one thing, print the answer as it comes, and what it took; None if it failed."""
    try:
        async for event in mesh.stream(conversation_id, text, options):
            if isinstance(event, str):
                console.print(event, end="", markup=False, highlight=False, soft_wrap=True)
            else:
                console.print(f"\n[dim]{footer(event)}[/dim]", highlight=False)
                return event
    except MeshError as error:
        console.print(f"\n[red]{error.reason.name}[/red] {error.message}")
        if error.retry_after is not None:
            console.print(f"[dim]retry in {error.retry_after:g} s[/dim]")
    return None


def footer(reply: Reply) -> str:
    """One line on what an answer took: model, tokens, cost, cache layer."""
    parts = [reply.model or reply.route, f"{reply.duration * 1000:.0f} ms"]
    if reply.cache_layer:
        similarity = f" {reply.report.cache_similarity:.2f}" if reply.cache_layer == "semantic" else ""
        parts.append(f"cache: {reply.cache_layer}{similarity}, saved {format_usd(reply.saved_usd_micros)}")
    else:
        parts.append(f"{reply.input_tokens} in + {reply.output_tokens} out tokens")
        parts.append(format_usd(reply.cost_usd_micros))
    if reply.degraded:
        parts.append(f"without {', '.join(reply.degraded)}")
    return " · ".join(parts)


@contextmanager
def _interruptible() -> Iterator[None]:
    # asyncio's own handler cancels the task at Ctrl-C, which a task that blocks in `input` does not notice.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _read(console: Console) -> str | None:
    try:
        with _interruptible():
            text = console.input("\n[bold cyan]you[/bold cyan] ").strip()
    except (EOFError, KeyboardInterrupt):
        return None
    return None if text in _END else text
