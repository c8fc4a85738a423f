"""How many attempts an endpoint may have in flight: one way to tell per module."""

from libs.mesh.limit.base import Limiter
from libs.mesh.limit.fixed import FixedLimit, FixedLimitOptions
from libs.mesh.limit.gradient2 import Gradient2Limit, Gradient2Options

LimitOptions = FixedLimitOptions | Gradient2Options


def make_limiter(options: LimitOptions) -> Limiter:
    """The limit of one endpoint, as `options` describe it."""
    if isinstance(options, FixedLimitOptions):
        return FixedLimit(options.limit)
    return Gradient2Limit(options)
