"""How much the semantic cache serves of a stream of questions, and how much of that is wrong.

    python -m tests.benchmarks.cache_stream --data intents.json [--alpha 0.02] [--drift renamed] [--seed 1]

Labelled questions are shuffled and asked one by one, all in one scope; the same label means the same answer. A miss
brings a fresh answer, which tells whether the candidate that was not served would have been right; what is served stays
unknown to the cache unless it was audited, and an audit counts as not served. The figures are of the second half.
Beside it: fixed thresholds, and vCache's rule with delta = alpha (which bounds the share of all questions).

The file is JSON ({split: [[text, label], ...]} or [[text, label], ...]), JSON Lines (text, label or intent) or CSV.
Embedding takes about 25 s on two cores. The same seed gives the same figures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from libs.core.rng import new_rng
from tests.benchmarks.cache_learning import ranges
from tests.benchmarks.cache_learning.drift import Drift, stream_of
from tests.benchmarks.cache_learning.embedding import embed_all
from tests.benchmarks.cache_learning.labelled import read_prompts
from tests.benchmarks.cache_learning.ours import CalibratedCache
from tests.benchmarks.cache_learning.rivals import StaticCache, VCache
from tests.benchmarks.cache_learning.stream import Cache, Fate, Figures, Question, ask_all, figures, questions_of
from tests.benchmarks.load import print_figures, print_table

_THRESHOLDS: Final = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
_PARTS: Final = 8


def _questions(arguments: argparse.Namespace) -> list[Question]:
    prompts = read_prompts(arguments.data)
    if len(prompts) < 2:
        raise SystemExit(f"{arguments.data} holds a single prompt; expected at least 2")
    order = np.random.default_rng(arguments.seed).permutation(len(prompts))[: arguments.prompts]
    shuffled = [prompts[number] for number in order]
    texts = [prompt.text for prompt in shuffled]
    vectors = embed_all(texts, arguments.model)
    order_asked, answers = stream_of([prompt.answer for prompt in shuffled], vectors, arguments.drift, arguments.seed)
    return questions_of([texts[number] for number in order_asked], answers, vectors[order_asked])


def _rivals(dimension: int, arguments: argparse.Namespace) -> dict[str, Cache]:
    static: dict[str, Cache] = {f"static {each:.2f}": StaticCache(dimension, each) for each in _THRESHOLDS}
    return {**static, f"vCache {arguments.alpha}": VCache(dimension, arguments.alpha, new_rng(arguments.seed))}


def _cells(name: str, measured: Figures) -> Sequence[object]:
    shares = (measured.hit_rate, measured.wrong_among_served, measured.audited)
    return (name, *(f"{share:.4f}" for share in shares), f"{measured.wrong} of {measured.served}")


def _print_course(fates: Sequence[Fate]) -> None:
    print("\nOurs from the first eighth to the last")
    size = len(fates) / _PARTS
    parts = [figures(fates[round(part * size) : round((part + 1) * size)]) for part in range(_PARTS)]
    print_table(
        ("part", "hit_rate", "wrong_among_served", "audited", "wrong"),
        [_cells(str(number + 1), part) for number, part in enumerate(parts)],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the labelled file")
    parser.add_argument(
        "--alpha", type=ranges.alpha, default=0.02, help="greatest share of wrong answers among served ones"
    )
    parser.add_argument(
        "--prompts", type=ranges.prompts, default=8_000, help="how many are asked; all if the file holds fewer"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the shuffle, the audits and the drift")
    parser.add_argument(
        "--drift",
        type=Drift,
        choices=list(Drift),
        default=Drift.NONE,
        help="what happens to half of the answers in the middle: renamed (they are others from now on), split (each "
        "becomes two), merged (they give way to others), new (nobody asks for them any more, but for the other half)",
    )
    parser.add_argument("--model", default="", help="a sentence-transformers folder instead of the packaged model")
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    return parser.parse_args()


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    questions = _questions(arguments)
    dimension, middle = len(questions[0].vector), len(questions) // 2
    ours = CalibratedCache(dimension, arguments.alpha, arguments.seed)
    fates = ask_all(ours, questions)
    measured = figures(fates[middle:])
    rows = [_cells(f"ours {arguments.alpha}", measured)]
    for name, rival in {} if arguments.alone else _rivals(dimension, arguments).items():
        rows.append(_cells(name, figures(ask_all(rival, questions)[middle:])))
        print(name, file=sys.stderr)
    print(f"{len(questions)} questions, {len({each.answer for each in questions})} answers, drift: {arguments.drift}")
    print_table(("second half", "hit_rate", "wrong_among_served", "audited", "wrong"), rows)
    _print_course(fates)
    estimate = ours.learner.wrong_share()
    print_figures(
        {
            "alpha": arguments.alpha,
            "drift": str(arguments.drift),
            "seed": arguments.seed,
            "prompts": len(questions),
            "hit_rate": round(measured.hit_rate, 4),
            "wrong_among_served": round(measured.wrong_among_served, 4),
            "audited": round(measured.audited, 4),
            "wrong_estimated": None if estimate.share is None else round(estimate.share, 4),
            "wrong_estimated_low": round(estimate.low, 4),
            "wrong_estimated_high": round(estimate.high, 4),
        }
    )


if __name__ == "__main__":
    main()
