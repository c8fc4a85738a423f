"""The line below an answer."""

import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace

from agentmesh.conversation.v1 import conversation_pb2 as pb
from libs.cli.chat import footer
from libs.client.replies import Reply

_FRESH = Reply(
    text="Paris.",
    message_id="msg_1",
    request_id="r",
    model="claude-sonnet-5-5",
    input_tokens=10,
    output_tokens=2,
    cost_usd_micros=40,
    saved_usd_micros=0,
    cache_layer="",
    route="model",
    confidence=1.0,
    degraded=(),
    trace_id="",
    replayed=False,
    duration=1.2345,
    report=pb.TurnReport(),
)


def test_a_fresh_answer_tells_its_model_time_tokens_and_cost() -> None:
    assert footer(_FRESH) == "claude-sonnet-5-5 · 1234 ms · 10 in + 2 out tokens · $0.00004"


def test_a_cached_answer_tells_its_layer_and_what_it_saved() -> None:
    cached = replace(_FRESH, cache_layer="exact_redis", cost_usd_micros=0, saved_usd_micros=40)

    assert footer(cached) == "claude-sonnet-5-5 · 1234 ms · cache: exact_redis, saved $0.00004"


def test_a_similar_answer_tells_how_similar() -> None:
    similar = replace(_FRESH, cache_layer="semantic", saved_usd_micros=40, report=pb.TurnReport(cache_similarity=0.953))

    assert "cache: semantic 0.95, saved" in footer(similar)


def test_what_was_missing_is_named_and_a_fallback_has_no_model() -> None:
    fallback = replace(_FRESH, model="", route="fallback", degraded=("memory", "semantic_cache"))

    assert footer(fallback).startswith("fallback · ")
    assert footer(fallback).endswith("without memory, semantic_cache")


def test_the_first_ctrl_c_at_the_prompt_ends_the_conversation() -> None:
    program = "import asyncio, rich.console, libs.cli.chat as c\n"
    program += "async def main(): print('read', c._read(rich.console.Console()), flush=True)\n"
    program += "asyncio.run(main())"
    terminal, child_side = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", program], stdin=child_side, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        os.close(child_side)
        shown = b""
        while b"you" not in shown:
            shown += os.read(child.stdout.fileno(), 1000)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=10) == 0
        assert b"read None" in child.stdout.read()
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
