"""From a target's scheme to the resolver that follows it."""

from collections.abc import Callable

from libs.core.clock import Clock
from libs.core.rng import Rng
from libs.mesh.options import MeshOptions
from libs.mesh.resolver.base import Resolver
from libs.mesh.resolver.dns import DnsResolver
from libs.mesh.resolver.static import StaticResolver
from libs.mesh.target import DnsTarget, StaticTarget, Target


def make_resolver(
    target: Target, options: MeshOptions, clock: Clock, rng: Rng, failed: Callable[[str], None]
) -> Resolver:
    """The resolver of a target.

    Args:
        target: what to follow.
        options: how often to look, and whom to ask.
        clock: what sleeps between look-ups.
        rng: the source of their jitter.
        failed: told of every failed look-up.

    Raises:
        InvalidConfigurationError: the target names no namespace, and the pod does not know its own.
    """
    match target:
        case StaticTarget():
            return StaticResolver(target)
        case DnsTarget():
            return DnsResolver(target.address, options.dns_refresh, clock, rng, failed)
        case _:
            # Imported where it is used: aiohttp is a third of what importing a client takes.
            from libs.mesh.resolver.kubernetes import KubernetesResolver

            return KubernetesResolver(
                target.service, target.namespace, target.port, options.kubernetes, clock, rng, failed
            )
