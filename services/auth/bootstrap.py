"""Wires the auth service: the only place that knows which adapter stands behind which port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from agentmesh.auth.v1.auth_pb2_grpc import add_AuthServiceServicer_to_server
from libs.core.clock import Clock
from libs.server.runtime import Runtime
from libs.server.spec import Access, MethodPolicy, ServiceSpec
from libs.store.connection import Store, connect
from services.auth import scopes, validation
from services.auth.adapters.redis_directory import RedisDirectory
from services.auth.adapters.redis_gate import RedisGate
from services.auth.adapters.token_reader import OwnTokenReader
from services.auth.admission import Admission
from services.auth.authenticator import OwnAuthenticator
from services.auth.exchange import Exchange
from services.auth.keys import KeyMint
from services.auth.limits import LimitDefaults
from services.auth.pages import PageTokens
from services.auth.registry import Registry
from services.auth.servicer import SERVICE, AuthServicer, Domain
from services.auth.settings import AuthSettings
from services.auth.signing import signing_keys
from services.auth.tokens import InternalTokens, TokenSigner

_TIMEOUT: Final = 5.0

METHODS: Final = {
    f"/{SERVICE}/Authorize": MethodPolicy(Access.INTERNAL, "", _TIMEOUT, validation.authorize),
    f"/{SERVICE}/IssueToken": MethodPolicy(Access.PUBLIC, "", _TIMEOUT, validation.issue_token),
    f"/{SERVICE}/GetJwks": MethodPolicy(Access.PUBLIC, "", _TIMEOUT),
    f"/{SERVICE}/CreateTenant": MethodPolicy(Access.USER, scopes.ADMIN, _TIMEOUT, validation.create_tenant),
    f"/{SERVICE}/GetTenant": MethodPolicy(Access.USER, scopes.TENANT_ADMIN, _TIMEOUT, validation.get_tenant),
    f"/{SERVICE}/CreateApiKey": MethodPolicy(Access.USER, scopes.TENANT_ADMIN, _TIMEOUT, validation.create_api_key),
    f"/{SERVICE}/ListApiKeys": MethodPolicy(Access.USER, scopes.TENANT_ADMIN, _TIMEOUT, validation.list_api_keys),
    f"/{SERVICE}/RevokeApiKey": MethodPolicy(Access.USER, scopes.TENANT_ADMIN, _TIMEOUT, validation.revoke_api_key),
}


@asynccontextmanager
async def build(settings: AuthSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
    """The service, ready to be served; Redis may still be away."""
    async with connect(settings.redis_url, timeout=settings.redis_timeout) as store:
        domain = assemble(settings, store, runtime.clock)
        yield ServiceSpec(
            registrations=(partial(add_AuthServiceServicer_to_server, AuthServicer(domain)),),
            services=(SERVICE,),
            methods=METHODS,
            authenticator=OwnAuthenticator(domain.admission),
            readiness={"redis": store.ping},
        )


def assemble(settings: AuthSettings, store: Store, clock: Clock) -> Domain:
    """The domain on its adapters."""
    keys = signing_keys(settings.signing_seed, settings.previous_public_key_bytes)
    pepper = settings.key_pepper.get_secret_value().encode()
    mint = KeyMint(pepper)
    signer = TokenSigner(keys, clock)
    admission = Admission(
        RedisGate(store, _limit_defaults(settings)),
        mint,
        settings.root_key.get_secret_value(),
        OwnTokenReader(keys.jwks_json, clock),
        InternalTokens(signer, clock, settings.internal_token_lifetime_seconds),
    )
    return Domain(
        admission=admission,
        exchange=Exchange(
            admission, signer, settings.service_secret.get_secret_value(), settings.token_lifetime_seconds
        ),
        registry=Registry(RedisDirectory(store), mint, PageTokens(pepper), clock),
        jwks_json=keys.jwks_json,
        grant_seconds=settings.grant_seconds,
    )


def _limit_defaults(settings: AuthSettings) -> LimitDefaults:
    return LimitDefaults(
        tenant_per_minute=settings.default_tenant_per_minute,
        user_per_minute=settings.default_user_per_minute,
        method_per_minute=settings.default_method_per_minute,
        burst_seconds=settings.burst_seconds,
    )
