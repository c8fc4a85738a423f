"""Draws by weight in constant time.

Walker's alias method with Vose's construction: M. D. Vose, "A linear algorithm for generating random numbers with a
given distribution", IEEE Transactions on Software Engineering 17(9), 1991. Finagle draws by weight in the same way.
"""

from collections.abc import Sequence
from typing import Final

from libs.core.rng import Rng


class AliasTable:
    """Draws an index with the probability of its weight.

    Args:
        weights: at least one, each above 0; only their ratios matter. Otherwise `ValueError`.
        rng: where the draws come from.
    """

    __slots__ = ("_aliases", "_random", "_size", "_thresholds")

    def __init__(self, weights: Sequence[float], rng: Rng) -> None:
        if not weights or not all(weight > 0 for weight in weights):
            raise ValueError("an alias table needs weights, all above 0")
        self._random: Final = rng.random
        self._size: Final = len(weights)
        # A column is split at `threshold` (its index added, to save a subtraction) between itself and its alias.
        thresholds = [index + 1.0 for index in range(self._size)]
        aliases = list(range(self._size))
        mean = sum(weights) / self._size
        shares = [weight / mean for weight in weights]
        small = [index for index, share in enumerate(shares) if share < 1.0]
        large = [index for index, share in enumerate(shares) if share >= 1.0]
        while small and large:
            lesser, greater = small.pop(), large[-1]
            thresholds[lesser] = lesser + shares[lesser]
            aliases[lesser] = greater
            shares[greater] -= 1.0 - shares[lesser]
            if shares[greater] < 1.0:
                small.append(large.pop())
        self._thresholds: Final = tuple(thresholds)
        self._aliases: Final = tuple(aliases)

    def draw(self) -> int:
        """An index."""
        point = self._random() * self._size
        column = int(point)
        return column if point < self._thresholds[column] else self._aliases[column]

    def __repr__(self) -> str:
        return f"<AliasTable of {self._size}>"
