"""How fast the semantic cache is, part by part, beside what each part is to be measured by.

    python -m tests.benchmarks.cache_speed [--parts exact search embed peers] [--data FILE] [--largest]
                                           [--peers-python PATH]

    exact     the same text again: Lookup through gRPC, answered from memory and from Redis, over a bare grpc.aio echo
    search    the nearest vectors of one scope, without embedding, by the number of entries; recall and bytes an entry
    embed     many callers who each want a text embedded, over one plain encode after the other
    peers     one caller's lookups here (through gRPC) and in GPTCache (a library in the caller's process), embedding
              left out on both sides; needs an interpreter that has GPTCache (see cache_speed_peers.py)

Figures of different parts were taken one after the other, those of one part's sides in alternating rounds.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from agentmesh.semantic_cache.v1 import semantic_cache_pb2 as pb
from libs.store.embedded import EmbeddedRedis
from libs.telemetry import logs
from services.semantic_cache.model_folder import ModelFolder
from services.semantic_cache.ports import Embedded, EmbeddingModel
from tests.benchmarks.cache_speed_embed import embed_figures, short_texts, texts_of
from tests.benchmarks.cache_speed_exact import ExactOptions, exact_figures, exact_rows, run_exact
from tests.benchmarks.cache_speed_peers import ANSWER, DIMENSION, WARM_UP, Lookups, Workload, peers, summary, workload
from tests.benchmarks.cache_speed_search import search
from tests.benchmarks.load import closed_loop, print_figures, print_table
from tests.integration.semantic_cache.replica import Replica, replica

Figures = dict[str, float]

_PARTS: Final = ("exact", "search", "embed", "peers")
_SIZES: Final = (1_000, 10_000, 100_000)
_LARGEST: Final = 1_000_000
_ENTRIES: Final = 2_000
_LOOKUPS: Final = 500
_TEXTS: Final = 512


class Table(EmbeddingModel):
    """A model that knows its texts by heart, and so takes no time."""

    def __init__(self, load: Workload) -> None:
        self._vectors: Final = load.vectors

    @property
    def name(self) -> str:
        return "table"

    @property
    def dimension(self) -> int:
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> list[Embedded]:
        return [Embedded(self._vectors[text], whole=True) for text in texts]


def exact(arguments: argparse.Namespace) -> Figures:
    """Equal texts."""
    rounds = run_exact(ExactOptions(rounds=arguments.rounds))
    heads = ("side", "per s", "p50 ms", "p99 ms", "server us", "client us", "redis us")
    print_table(heads, exact_rows(rounds))
    return exact_figures(rounds)


def searches(arguments: argparse.Namespace) -> Figures:
    """The index."""
    figures: Figures = {}
    rows = []
    for size in (*arguments.sizes, *((_LARGEST,) if arguments.largest else ())):
        found = search(size)
        name = f"1e{len(str(size)) - 1}" if size == 10 ** (len(str(size)) - 1) else str(size)
        figures |= {f"search_p50_ms_{name}": round(found.p50_ms, 3), f"search_p99_ms_{name}": round(found.p99_ms, 3)}
        figures |= {f"recall_{name}": round(found.recall, 4), f"bytes_per_entry_{name}": round(found.bytes_per_entry)}
        rows.append((f"{size:,}", f"{found.p50_ms:.3f}", f"{found.p99_ms:.3f}", f"{found.recall:.3f}",
                     f"{found.bytes_per_entry:.0f}", f"{found.add_s:.1f}", f"{found.build_s:.1f}"))  # fmt: skip
    print_table(("entries", "p50 ms", "p99 ms", "recall@1", "bytes each", "add s", "graph s"), rows)
    return figures


def embed(arguments: argparse.Namespace) -> Figures:
    """The model's queue."""
    texts = texts_of(arguments.data, _TEXTS) if arguments.data else short_texts(_TEXTS)
    figures = asyncio.run(embed_figures(texts, rounds=5, callers=32, threads=1))
    rounded = {name if name == "embed_vs_plain" else f"embed_{name}": float(f"{value:.4g}")
               for name, value in figures.items()}  # fmt: skip
    print_table(("figure", "value"), list(rounded.items()))
    return rounded


def beside_peers(arguments: argparse.Namespace) -> Figures:
    """Other caches, if there are any."""
    load = workload(_ENTRIES)
    measured: dict[str, Lookups] = {}
    if arguments.peers_python is None:
        print("GPTCache: left out: no --peers-python (cache_speed_peers.py says how to make one)")
    else:
        try:
            measured |= peers(arguments.peers_python, _ENTRIES, _LOOKUPS)
        except RuntimeError as error:
            print(f"GPTCache: left out: {error}")
    print("RedisVL: left out: its cache needs a Redis with the search module, which no wheel brings")
    # The service speaks from this very process, and its lines do not belong between the figures.
    logs.configure("semantic_cache", "error", "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured |= runner.run(mesh_lookups(load))
    rows = [
        (side.replace("_", " "), f"{one.p50_ms:.3f}", f"{one.p99_ms:.3f}", f"{one.per_s:.0f}", f"{one.found:.2f}")
        for side, one in measured.items()
    ]
    print_table(("side", "p50 ms", "p99 ms", "per s", "found"), rows)
    return {f"{side}_p50_ms": round(one.p50_ms, 3) for side, one in measured.items()}


async def mesh_lookups(load: Workload) -> dict[str, Lookups]:
    """The same lookups through gRPC, with a Redis; client and service share one process."""

    def load_table(_folder: ModelFolder, *_: object) -> EmbeddingModel:
        return Table(load)

    with EmbeddedRedis() as redis:
        async with replica(redis.url, load_table, real_model=True) as running:
            await _fill(running, load)
            return {
                "agentmesh_exact": await _timed(running, load.entries[: WARM_UP + _LOOKUPS]),
                "agentmesh_similar": await _timed(running, load.questions[: WARM_UP + _LOOKUPS]),
            }


async def _fill(running: Replica, load: Workload) -> None:
    async def put(number: int) -> None:
        text = load.entries[number]
        await running.put(text, ANSWER, embedding=load.vectors[text].astype(np.dtype("<f4")).tobytes())

    await closed_loop(put, len(load.entries), 8, {})


async def _timed(running: Replica, texts: Sequence[str]) -> Lookups:
    for text in texts[:WARM_UP]:
        await running.lookup(text)
    taken, found = [], 0
    for text in texts[WARM_UP:]:
        begun = time.perf_counter()
        response: pb.LookupResponse = await running.lookup(text)
        taken.append(time.perf_counter() - begun)
        found += response.HasField("hit")
    return summary(taken, found)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS, help="what is measured")
    parser.add_argument("--rounds", type=int, default=25, help="measured rounds of the exact lookups")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="entries of the indexes that are searched")
    parser.add_argument("--largest", action="store_true", help="1,000,000 entries as well: many minutes, 5 GB")
    parser.add_argument("--data", type=Path, help="JSON or JSON Lines with texts to embed; made up ones without it")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has GPTCache; without it: no peers")
    arguments = parser.parse_args()
    measures = {"exact": exact, "search": searches, "embed": embed, "peers": beside_peers}
    figures: Figures = {}
    for part in arguments.parts:
        print(f"\n{part}")
        figures |= measures[part](arguments)
    print()
    print_figures(figures)


if __name__ == "__main__":
    main()
