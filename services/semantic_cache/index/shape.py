"""How large an index may be, and what is to be seen of one."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Shape:
    """How large an index may be and what it is made of."""

    dimension: int
    """Components of every vector."""
    capacity: int = 100_000
    """Members; the oldest make room for new ones."""
    graph_from: int = 20_000
    """Members from which a graph is used: to look at so many one by one takes 0.7 ms. Below half of them it goes."""
    uncovered: int = 256
    """Members that may wait until they are added to the graph; they are looked at one by one."""

    def __post_init__(self) -> None:
        for name in ("dimension", "capacity", "graph_from", "uncovered"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class VectorIndexStatistics(NamedTuple):
    """A snapshot of an index."""

    members: int
    nodes: int
    """Of the graph in use; 0 if there is none."""
    uncovered: int
    """Members that the graph in use does not have; all of them if there is none."""
    stale: int
    """Nodes of the graph in use whose members left."""
    building: bool
    """A graph is being made that will take the place of the one in use."""
    rebuilds: int
    """How often that happened."""
    nbytes: int
    """Bytes held."""
