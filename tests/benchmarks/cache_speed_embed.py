"""What batching makes of many callers who each want one short text embedded, beside plain encode in the same run.

    python -m tests.benchmarks.cache_speed_embed [--data FILE] [--texts 512] [--rounds 5] [--callers 32] [--threads 1]

Both sides embed the same texts, all different, with the same model in the same process, on the same thread and with as
many threads of PyTorch, alternating round after round:

    plain    one `SentenceTransformer.encode` after the other, as a program without a queue does it
    queued   `--callers` callers of an `EmbeddingQueue`, each awaiting one text at a time; nothing is remembered

`embed_vs_plain` is texts a second queued over texts a second plain, the median of the rounds' own ratios; a busy
machine slows both. `largest_difference` is between components of the two sides' unit vectors. `lone_*` is one caller.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from services.semantic_cache.adapters.sentence_transformer import SentenceTransformerModel
from services.semantic_cache.embedding.queue import BatchLimits, EmbeddingQueue
from services.semantic_cache.model_folder import ModelFolder, locate
from tests.benchmarks.load import Round, closed_loop, print_figures, print_table

Matrix = NDArray[np.float32]
Plain = Callable[[Sequence[str]], Matrix]

_OPENINGS: Final = (
    "How do I", "Can you help me", "What happens if I", "Is there a way to", "When should I", "I would like to",
    "Please", "Why can I not", "Who can", "Do I need a password to",
)  # fmt: skip
_VERBS: Final = ("change", "cancel", "renew", "find", "pay for", "move", "report", "share", "print", "insure")
_THINGS: Final = (
    "my travel booking", "the parking permit", "a library card", "the invoice of last month", "my phone contract",
    "the gym membership", "a second bank account", "the washing machine", "my standing order for the rent",
    "the appointment with the dentist on Thursday",
)  # fmt: skip
_WARM_UP: Final = 32


@dataclass(frozen=True, slots=True)
class Sides:
    """The same model twice."""

    plain: Plain
    queue: EmbeddingQueue
    thread: ThreadPoolExecutor
    """In which both run."""


def short_texts(number: int) -> list[str]:
    """Different questions of 4 to 18 words, the same in every run; at most 1,000."""
    made = [f"{opening} {verb} {thing}?" for opening, verb, thing in product(_OPENINGS, _VERBS, _THINGS)]
    return new_rng(1).sample(made, number)


def texts_of(path: Path, number: int) -> list[str]:
    """Different texts of more than one word out of a JSON or JSON Lines file, wherever they stand in it."""
    raw = path.read_text()
    parsed = [json.loads(line) for line in raw.splitlines()] if path.suffix == ".jsonl" else json.loads(raw)
    found = sorted({text for text in _strings(parsed) if " " in text})
    return new_rng(1).sample(found, min(number, len(found)))


async def embed_figures(
    texts: Sequence[str], rounds: int, callers: int, threads: int, device: str = "cpu"
) -> dict[str, float]:
    """Both sides, round after round, and what came out.

    Args:
        texts: all different.
        rounds: at least one.
        callers: of the queue, at a time.
        threads: that PyTorch may use for one batch, on both sides.
        device: that both sides run on.
    """
    plain: list[Round] = []
    queued: list[Round] = []
    lone: list[Round] = []
    async with _sides(locate(""), threads, device) as sides:
        for number in range(rounds):
            sequence = (_plainly, _queued) if number % 2 else (_queued, _plainly)
            for side in sequence:
                (plain if side is _plainly else queued).append(await side(sides, texts, callers))
            lone.append(await _queued(sides, texts[: len(texts) // 8], 1))
        difference = await _difference(sides, texts)
    return {
        "plain_per_s": median(each.per_second for each in plain),
        "queued_per_s": median(each.per_second for each in queued),
        "queued_p50_ms": median(each.percentile_ms(0.5) for each in queued),
        "queued_p99_ms": median(each.percentile_ms(0.99) for each in queued),
        "plain_p50_ms": median(each.percentile_ms(0.5) for each in plain),
        "lone_p50_ms": median(each.percentile_ms(0.5) for each in lone),
        "lone_vs_plain": median(one.per_second / two.per_second for one, two in zip(lone, plain, strict=True)),
        "largest_difference": difference,
        "embed_vs_plain": median(one.per_second / two.per_second for one, two in zip(queued, plain, strict=True)),
    }


async def _plainly(sides: Sides, texts: Sequence[str], _callers: int) -> Round:
    def one_by_one() -> Round:
        latencies = []
        for text in texts:
            begun = time.perf_counter()
            sides.plain([text])
            latencies.append(time.perf_counter() - begun)
        return Round(len(texts), sum(latencies), tuple(sorted(latencies)), {})

    return await asyncio.get_running_loop().run_in_executor(sides.thread, one_by_one)


async def _queued(sides: Sides, texts: Sequence[str], callers: int) -> Round:
    async def call(number: int) -> None:
        await sides.queue.embed([texts[number]])

    return await closed_loop(call, len(texts), callers, {})


async def _difference(sides: Sides, texts: Sequence[str]) -> float:
    async def one(text: str) -> Matrix:
        (embedded,) = await sides.queue.embed([text])
        return embedded.vector

    loop = asyncio.get_running_loop()
    expected = await loop.run_in_executor(sides.thread, lambda: np.concatenate([sides.plain([text]) for text in texts]))
    found = np.stack(await asyncio.gather(*(one(text) for text in texts)))
    return float(np.abs(found - expected).max())


@asynccontextmanager
async def _sides(folder: ModelFolder, threads: int, device: str) -> AsyncIterator[Sides]:
    limits = BatchLimits(waiting=4_096, remembered_bytes=0)
    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        model = await loop.run_in_executor(thread, SentenceTransformerModel, folder, threads, device)
        plain = await loop.run_in_executor(thread, _plain, folder, device)
        queue = EmbeddingQueue(lambda: model, thread, SystemClock(), limits)
        sides = Sides(plain, queue, thread)
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(queue.run())
            while not queue.statistics().loaded:
                await loop.run_in_executor(thread, plain, short_texts(_WARM_UP))
            await _queued(sides, short_texts(_WARM_UP), 8)
            yield sides
            work.cancel()


def _plain(folder: ModelFolder, device: str) -> Plain:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder.path), device=device, local_files_only=True)

    def encode(texts: Sequence[str]) -> Matrix:
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    return encode


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="JSON or JSON Lines to take texts from; made up ones without it")
    parser.add_argument("--texts", type=int, default=512, help="texts of each side in a round, up to 1,000")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds")
    parser.add_argument("--callers", type=int, default=32, help="concurrent callers of the queue")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch, on both sides")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for both sides")
    arguments = parser.parse_args()
    texts = texts_of(arguments.data, arguments.texts) if arguments.data else short_texts(arguments.texts)
    figures = asyncio.run(
        embed_figures(texts, arguments.rounds, arguments.callers, arguments.threads, arguments.device)
    )
    print_table(("figure", "value"), [(name, f"{value:.3g}") for name, value in figures.items()])
    print()
    print_figures({name: float(f"{value:.4g}") for name, value in figures.items()})


if __name__ == "__main__":
    main()
