"""What a lookup takes in other caches, in their own processes and with their own stores.

This file stands alone, since it is also run by an interpreter that has the peers and not us:

    python -m venv peers && peers/bin/pip install gptcache faiss-cpu sqlalchemy
    peers/bin/python tests/benchmarks/cache_speed_peers.py --entries 2000 --lookups 500

Embedding takes no time on any side: every text's vector is made up beforehand. The question closest to entry i has a
cosine of about 0.93 to it; all other pairs have about 0.

    GPTCache exact      its map of texts (what `init` makes by default), in memory
    GPTCache similar    faiss and SQLite, as its documentation sets them up, distance rated as it does by default

RedisVL is left out: its cache needs a Redis with the search module, which no wheel brings.
"""

import argparse
import atexit
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

DIMENSION: Final = 384
ANSWER: Final = "An answer of the length that answers have, a few hundred characters or so. " * 6
_NOISE: Final = 0.4
WARM_UP: Final = 50
"""Lookups that do not count; of texts of their own, as one that was looked up may be found sooner."""
_PATIENCE_SECONDS: Final = 600
_SYLLABLES: Final = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "za")


@dataclass(frozen=True, slots=True)
class Workload:
    """Entries, and for each a question that means the same."""

    entries: tuple[str, ...]
    questions: tuple[str, ...]
    vectors: Mapping[str, NDArray[np.float32]]
    """Of both; of length 1."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """What one side took, called by one caller."""

    p50_ms: float
    p99_ms: float
    per_s: float
    found: float
    """Share that was answered."""


def workload(entries: int, seed: int = 1) -> Workload:
    """The same in every run, on every side."""
    generator = np.random.default_rng(seed)
    kept = _unit(generator.standard_normal((entries, DIMENSION), dtype=np.float32))
    noise = _unit(generator.standard_normal((entries, DIMENSION), dtype=np.float32))
    asked = _unit(kept + np.float32(_NOISE) * noise)
    names = [_name(number) for number in range(entries)]
    texts = tuple(f"How does {name} cancel the contract?" for name in names)
    questions = tuple(f"What is the way for {name} to cancel the contract?" for name in names)
    vectors = dict(zip(texts, kept, strict=True)) | dict(zip(questions, asked, strict=True))
    return Workload(texts, questions, vectors)


def timed(lookup: Callable[[str], bool], texts: tuple[str, ...]) -> Lookups:
    """Look every text up, one after the other; `lookup` says whether it was found. The first few do not count."""
    for text in texts[:WARM_UP]:
        lookup(text)
    taken, found = [], 0
    for text in texts[WARM_UP:]:
        begun = time.perf_counter()
        found += lookup(text)
        taken.append(time.perf_counter() - begun)
    return summary(taken, found)


def summary(taken: list[float], found: int) -> Lookups:
    """Of lookups one after the other that took so many seconds each."""
    p50, p99 = (float(np.percentile(taken, share)) * 1000 for share in (50, 99))
    return Lookups(p50, p99, len(taken) / sum(taken), found / len(taken))


def peers(python: Path, entries: int, lookups: int) -> dict[str, Lookups]:
    """What they take, measured by the interpreter that has them.

    Raises:
        RuntimeError: it could not; says why.
    """
    arguments = [str(python), __file__, "--entries", str(entries), "--lookups", str(lookups)]
    try:
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(str(error)) from None
    if ended.returncode != 0:
        raise RuntimeError((ended.stderr.strip().splitlines() or ["it failed without a word"])[-1])
    # The peers print, too.
    measured = json.loads(ended.stdout.splitlines()[-1])
    return {side: Lookups(**figures) for side, figures in measured.items()}


def gptcache(load: Workload, lookups: int, directory: str) -> dict[str, Lookups]:
    """GPTCache's two ways, filled with the entries."""
    from gptcache import Cache, Config
    from gptcache.adapter.api import get, put
    from gptcache.manager import CacheBase, VectorBase, get_data_manager
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    size, asked = len(load.entries), WARM_UP + lookups
    exact = Cache()
    exact.init(
        pre_embedding_func=get_prompt, data_manager=get_data_manager(data_path=f"{directory}/map", max_size=size)
    )
    for text in load.entries:
        put(text, ANSWER, cache_obj=exact)
    vectors = VectorBase("faiss", dimension=DIMENSION, index_path=f"{directory}/faiss")
    store = CacheBase("sqlite", sql_url=f"sqlite:///{directory}/sqlite")
    # Its own limit of 1,000 would drop entries that are asked for.
    kept = get_data_manager(store, vectors, max_size=size)
    similar = Cache()
    similar.init(
        pre_embedding_func=get_prompt,
        embedding_func=lambda text, **_: load.vectors[text],
        data_manager=kept,
        similarity_evaluation=SearchDistanceEvaluation(),
        config=Config(similarity_threshold=0.8),
    )
    kept.import_data(list(load.entries), [ANSWER] * size, [load.vectors[text] for text in load.entries], [None] * size)
    return {
        "gptcache_exact": timed(lambda text: get(text, cache_obj=exact) is not None, load.entries[:asked]),
        "gptcache_similar": timed(lambda text: get(text, cache_obj=similar) is not None, load.questions[:asked]),
    }


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def _name(number: int) -> str:
    # In letters: a number in a question is something a cache may look at.
    syllables = [_SYLLABLES[number >> shift & 15] for shift in (12, 8, 4, 0)]
    return "".join(syllables).capitalize()


def main() -> None:
    """Measure the peers of this interpreter; the last line of stdout is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=2_000, help="that are kept, at most 65,536")
    parser.add_argument("--lookups", type=int, default=500, help="that each side answers")
    arguments = parser.parse_args()
    try:
        print(f"GPTCache {version('gptcache')}, faiss {version('faiss-cpu')}")
    except PackageNotFoundError as error:
        raise SystemExit(f"{error} (see the beginning of {Path(__file__).name})") from None
    directory = tempfile.mkdtemp()
    # Before GPTCache asks to be called at the end, too, and so after that: it writes there once more.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    measured = gptcache(workload(arguments.entries), arguments.lookups, directory)
    print(json.dumps({side: asdict(figures) for side, figures in measured.items()}))


if __name__ == "__main__":
    main()
