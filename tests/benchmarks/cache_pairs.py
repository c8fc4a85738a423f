"""How many lookalike questions the semantic cache tells apart.

    python -m tests.benchmarks.cache_pairs --data pairs.jsonl [--alpha 0.05] [--seed 1]

Each pair is decided by itself: the first question is kept, the second is asked, and the cache serves or not; what it
learns from one pair it knows at the next. What is not served becomes known, as a fresh answer is compared with the
kept one; what is served stays unknown unless it was audited. The figures are of all pairs, in a shuffled order.
Beside it: the similarity alone, at the threshold that would have been best for these very pairs.

The file is JSON Lines with text_a, text_b and label (1: they mean the same).
"""

import argparse
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.core.rng import new_rng
from services.semantic_cache.decision import Candidate, decide
from services.semantic_cache.learning.choice import Kind, LearnerOptions
from services.semantic_cache.learning.learner import Learner
from services.semantic_cache.learning.outcome import Outcome, Source
from tests.benchmarks.cache_learning import ranges
from tests.benchmarks.cache_learning.embedding import embed_all
from tests.benchmarks.cache_learning.labelled import Pair, read_pairs
from tests.benchmarks.cache_learning.ours import learn
from tests.benchmarks.cache_learning.stream import Fate, Figures, figures, group_of
from tests.benchmarks.load import print_figures, print_table

_OTHER: Final = group_of("another answer")


def _decided(pairs: Sequence[Pair], similarities: NDArray[np.float32], alpha: float, seed: int) -> list[Fate]:
    learner = Learner(new_rng(seed), LearnerOptions())
    fates = []
    for number, (pair, similarity) in enumerate(zip(pairs, similarities, strict=True)):
        name = str(number).encode()
        candidate = Candidate(_digest(name, 20), _digest(name, 8), float(similarity), pair.one)
        weighed = decide(pair.other, [candidate], learner, alpha).weighed
        if weighed is None:
            fates.append(Fate.MISSED)
            continue
        choice = weighed.choice
        if choice.kind is Kind.SERVE:
            fates.append(Fate.RIGHT if pair.same else Fate.WRONG)
            continue
        audited = choice.kind is Kind.AUDIT
        fates.append(Fate.AUDITED if audited else Fate.MISSED)
        learn(
            learner,
            Outcome(
                source=Source.AUDIT if audited else Source.MISS,
                at=float(number),
                entry=candidate.entry,
                group=candidate.group,
                fresh=candidate.group if pair.same else _OTHER,
                features=weighed.features,
                p_model=choice.p_model,
                p_wrong=choice.p_wrong,
                propensity=choice.propensity,
            ),
        )
    return fates


def _best_by_similarity(pairs: Sequence[Pair], similarities: NDArray[np.float32], alpha: float) -> Figures:
    """What the lowest threshold that keeps alpha serves, known only afterwards."""
    order = np.argsort(-similarities, kind="stable")
    wrong = np.cumsum([not pairs[number].same for number in order])
    within = np.flatnonzero(wrong <= alpha * np.arange(1, len(order) + 1))
    served = int(within[-1]) + 1 if len(within) else 0
    return Figures(len(pairs), served, int(wrong[served - 1]) if served else 0, 0)


def _digest(name: bytes, size: int) -> bytes:
    return blake2b(name, digest_size=size).digest()


def _share(measured: Figures, duplicates: int) -> float | None:
    """Of the duplicates, how many were served; None if there are none."""
    return (measured.served - measured.wrong) / duplicates if duplicates else None


def _cells(name: str, measured: Figures, duplicates: int) -> Sequence[object]:
    right = _share(measured, duplicates)
    served = "none" if right is None else f"{right:.4f}"
    wrong = f"{measured.wrong} of {measured.served}"
    return (name, served, f"{measured.wrong_among_served:.4f}", f"{measured.audited:.4f}", wrong)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the pairs")
    parser.add_argument(
        "--alpha", type=ranges.alpha, default=0.05, help="greatest share of wrong answers among served ones"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order and the audits")
    parser.add_argument("--model", default="", help="a sentence-transformers folder instead of the packaged model")
    arguments = parser.parse_args()
    pairs = read_pairs(arguments.data)
    pairs = [pairs[number] for number in np.random.default_rng(arguments.seed).permutation(len(pairs))]
    vectors = embed_all([text for pair in pairs for text in (pair.one, pair.other)], arguments.model)
    similarities: NDArray[np.float32] = np.sum(vectors[0::2] * vectors[1::2], axis=1)
    fates = _decided(pairs, similarities, arguments.alpha, arguments.seed)
    duplicates = sum(pair.same for pair in pairs)
    ours, rest = figures(fates), figures(fates[len(fates) // 2 :])
    alone = _best_by_similarity(pairs, similarities, arguments.alpha)
    served = _share(ours, duplicates)
    rows = [_cells(f"ours {arguments.alpha}", ours, duplicates), _cells("similarity", alone, duplicates)]
    print(f"{len(pairs)} pairs, {duplicates} of them duplicates")
    print_table(("", "duplicates served", "wrong_among_served", "audited", "wrong"), rows)
    print_figures(
        {
            "alpha": arguments.alpha,
            "seed": arguments.seed,
            "served": ours.served,
            "duplicates_served": None if served is None else round(served, 4),
            "wrong_among_served": round(ours.wrong_among_served, 4),
            "wrong_among_served_second_half": round(rest.wrong_among_served, 4),
            "audited": round(ours.audited, 4),
        }
    )


if __name__ == "__main__":
    main()
