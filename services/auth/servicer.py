"""AuthService on the wire."""

from dataclasses import dataclass
from typing import Final

import grpc

from agentmesh.auth.v1 import auth_pb2 as pb
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceServicer
from libs.core.context import Principal, require
from libs.core.errors import MeshError, Reason
from services.auth import convert
from services.auth.admission import Admission
from services.auth.exchange import Exchange
from services.auth.registry import Registry

SERVICE: Final = "agentmesh.auth.v1.AuthService"
_ISSUE_TOKEN: Final = f"/{SERVICE}/IssueToken"
_DEFAULT_PAGE_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Domain:
    """What the servicer speaks for."""

    admission: Admission
    exchange: Exchange
    registry: Registry
    jwks_json: str
    grant_seconds: float
    """How long calls that were admitted ahead may be used; 0: none are."""


class AuthServicer(AuthServiceServicer):
    """Converts, asks the domain, converts back."""

    def __init__(self, domain: Domain) -> None:
        self._admission: Final = domain.admission
        self._exchange: Final = domain.exchange
        self._registry: Final = domain.registry
        self._grant_duration: Final = convert.grant_duration(domain.grant_seconds)
        self._jwks: Final = pb.GetJwksResponse(jwks_json=domain.jwks_json)

    async def Authorize(
        self,
        request: pb.AuthorizeRequest,
        context: grpc.aio.ServicerContext[pb.AuthorizeRequest, pb.AuthorizeResponse],
    ) -> pb.AuthorizeResponse:
        """Admit one call of the client's, or several."""
        wanted = max(1, request.wanted_calls) if self._grant_duration is not None else 1
        admitted = await self._admission.admit(request.credential, request.method, wanted)
        fields = require().log_fields
        fields["admitted_tenant"] = admitted.principal.tenant_id
        fields["admitted_key"] = admitted.principal.key_id
        fields["admitted_calls"] = admitted.calls
        return convert.authorize_response(admitted, self._grant_duration)

    async def IssueToken(
        self,
        request: pb.IssueTokenRequest,
        context: grpc.aio.ServicerContext[pb.IssueTokenRequest, pb.IssueTokenResponse],
    ) -> pb.IssueTokenResponse:
        """Exchange a credential for a token."""
        lifetime = request.lifetime_seconds
        if request.WhichOneof("credential") == "service":
            require().log_fields["peer_service"] = request.service.service
            signed = self._exchange.for_service(convert.service_proof(request.service), lifetime)
        else:
            signed = await self._exchange.for_key(request.api_key, request.user_id, lifetime, _ISSUE_TOKEN)
        return convert.issue_token_response(signed)

    async def GetJwks(
        self, request: pb.GetJwksRequest, context: grpc.aio.ServicerContext[pb.GetJwksRequest, pb.GetJwksResponse]
    ) -> pb.GetJwksResponse:
        """Return the public keys."""
        return self._jwks

    async def CreateApiKey(
        self,
        request: pb.CreateApiKeyRequest,
        context: grpc.aio.ServicerContext[pb.CreateApiKeyRequest, pb.CreateApiKeyResponse],
    ) -> pb.CreateApiKeyResponse:
        """Make a key and show its secret, this once."""
        created = await self._registry.create_key(_caller(), request.request_id, convert.new_key(request))
        require().log_fields["created_key"] = created.key.key_id
        return pb.CreateApiKeyResponse(api_key=convert.api_key(created.key), credential=created.credential)

    async def ListApiKeys(
        self,
        request: pb.ListApiKeysRequest,
        context: grpc.aio.ServicerContext[pb.ListApiKeysRequest, pb.ListApiKeysResponse],
    ) -> pb.ListApiKeysResponse:
        """List a tenant's keys, oldest first."""
        size = request.page_size or _DEFAULT_PAGE_SIZE
        listed = await self._registry.list_keys(_caller(), request.tenant_id, request.page_token, size)
        return pb.ListApiKeysResponse(
            api_keys=map(convert.api_key, listed.keys), next_page_token=listed.next_page_token
        )

    async def RevokeApiKey(
        self,
        request: pb.RevokeApiKeyRequest,
        context: grpc.aio.ServicerContext[pb.RevokeApiKeyRequest, pb.RevokeApiKeyResponse],
    ) -> pb.RevokeApiKeyResponse:
        """End a key's life."""
        key = await self._registry.revoke_key(_caller(), request.key_id)
        require().log_fields["revoked_key"] = key.key_id
        return pb.RevokeApiKeyResponse(api_key=convert.api_key(key))

    async def CreateTenant(
        self,
        request: pb.CreateTenantRequest,
        context: grpc.aio.ServicerContext[pb.CreateTenantRequest, pb.CreateTenantResponse],
    ) -> pb.CreateTenantResponse:
        """Make a tenant."""
        limits = convert.rate_limits(request.rate_limits)
        made = await self._registry.create_tenant(_caller(), request.request_id, request.display_name, limits)
        require().log_fields["created_tenant"] = made.tenant_id
        return pb.CreateTenantResponse(tenant=convert.tenant(made))

    async def GetTenant(
        self,
        request: pb.GetTenantRequest,
        context: grpc.aio.ServicerContext[pb.GetTenantRequest, pb.GetTenantResponse],
    ) -> pb.GetTenantResponse:
        """Return a tenant."""
        return pb.GetTenantResponse(
            tenant=convert.tenant(await self._registry.get_tenant(_caller(), request.tenant_id))
        )


def _caller() -> Principal:
    principal = require().principal
    if principal is None:
        # The method policies ask for a principal before a call gets here; fail closed if one ever does not.
        raise MeshError(Reason.MISSING_CREDENTIALS)
    return principal
