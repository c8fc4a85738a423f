"""Members for the tests of indexes."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

import numpy as np

from services.semantic_cache.index.member import Member, Vector
from services.semantic_cache.index.shape import Shape
from services.semantic_cache.index.vector_index import VectorIndex

DIMENSION = 8
FAR = 1e12
P = ParamSpec("P")
T = TypeVar("T")


def unit(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    result: Vector = vector / np.float32(np.linalg.norm(vector))
    return result


def entry(number: int) -> bytes:
    return number.to_bytes(20, "big")


def group(number: int) -> bytes:
    return number.to_bytes(8, "big")


def member(number: int, expires_at: float = FAR, seed: int | None = None) -> Member:
    """The member of a number; its vector is of the same number unless a seed is given."""
    return Member(entry(number), group(number), unit(number if seed is None else seed), 0.0, expires_at)


def small(capacity: int = 1_000, graph_from: int = 1_000, uncovered: int = 4) -> Shape:
    return Shape(DIMENSION, capacity, graph_from, uncovered)


def filled(shape: Shape, numbers: range) -> VectorIndex:
    index = VectorIndex(shape)
    for number in numbers:
        index.add(member(number), 0.0)
    return index


def work(index: VectorIndex) -> int:
    """Do all that is to be done; how many steps it took."""
    steps = 0
    while (step := index.next_step()) is not None:
        step.run()
        index.finish(step)
        steps += 1
    return steps


def entries(index: VectorIndex, seed: int, count: int = 3, now: float = 0.0) -> list[bytes]:
    return [neighbour.entry for neighbour in index.nearest(unit(seed), count, now)]


class Inline(Executor):
    """Does what it is given at once, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except (OSError, RuntimeError, ValueError, MemoryError) as error:
            done.set_exception(error)
        return done


class Held(Inline):
    """Does what it is given when it is let."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        held: Future[T] = Future()
        self.waiting.append(lambda: held.set_result(fn(*args, **kwargs)))
        return held

    def let(self) -> None:
        """Do the first that waits."""
        self.waiting.pop(0)()


class Broken(Inline):
    """Fails at everything."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        failed: Future[T] = Future()
        failed.set_exception(MemoryError())
        return failed
