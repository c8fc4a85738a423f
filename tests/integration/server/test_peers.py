"""A service that calls another one for itself: its token, and what is left of it while auth is away."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr

from agentmesh.auth.v1.auth_pb2 import (
    CreateTenantRequest,
    GetJwksRequest,
    GetJwksResponse,
    IssueTokenRequest,
    IssueTokenResponse,
)
from agentmesh.auth.v1.auth_pb2_grpc import AuthServiceServicer, AuthServiceStub, add_AuthServiceServicer_to_server
from libs.core.clock import SystemClock
from libs.core.rng import new_rng
from libs.mesh.errors import decode
from libs.server.runtime import Runtime, open_runtime
from libs.server.spec import INTERNAL_AUDIENCE, ServiceSpec
from libs.telemetry.telemetry import Telemetry
from libs.testing import inprocess
from tests.integration.server.example import Example, ExampleSettings, run

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


class Auth(AuthServiceServicer):
    """Issues internal tokens to whoever knows the secret."""

    async def IssueToken(self, request: IssueTokenRequest, context: object) -> IssueTokenResponse:  # noqa: N802
        assert request.service.secret == "s3cret"
        expires = int(SystemClock().time()) + 900
        claims = {
            "iss": "agentmesh",
            "aud": INTERNAL_AUDIENCE,
            "sub": "",
            "ten": "system",
            "scp": ["internal"],
            "exp": expires,
        }
        token = jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": "k1"})
        return IssueTokenResponse(token=token, expire_time=Timestamp(seconds=expires))

    async def GetJwks(self, request: GetJwksRequest, context: object) -> GetJwksResponse:  # noqa: N802
        public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "k1", "x": x}
        return GetJwksResponse(jwks_json=json.dumps({"keys": [key]}))


class Guarded(Example):
    """The example, believing auth instead of everybody."""

    @asynccontextmanager
    async def build(self, settings: ExampleSettings, runtime: Runtime) -> AsyncIterator[ServiceSpec]:
        async with super().build(settings, runtime) as spec:
            yield ServiceSpec(spec.registrations, spec.services, spec.methods, runtime.token_authenticator())


def auth_server() -> AbstractAsyncContextManager[inprocess.RunningServer]:
    servicer = Auth()  # type: ignore[abstract]  # two methods are all that is asked of it
    return inprocess.serving(partial(add_AuthServiceServicer_to_server, servicer))


def settings(auth_target: str) -> ExampleSettings:
    return ExampleSettings(auth_target=auth_target, service_secret=SecretStr("s3cret"), drain_wait=0.0)


def caller(auth_target: str) -> AbstractAsyncContextManager[Runtime]:
    return open_runtime("caller", settings(auth_target), SystemClock(), new_rng(1), Telemetry.local("caller"))


async def test_a_service_is_known_to_its_peers_and_stays_so_while_auth_is_away() -> None:
    async with auth_server() as auth, run(Guarded(), settings(auth.target)) as bound, caller(auth.target) as runtime:
        stub = AuthServiceStub(runtime.dial(f"static:///{bound.grpc}"))
        first = await stub.CreateTenant(CreateTenantRequest(display_name="x"), timeout=10)
        await auth.server.stop(None)
        second = await stub.CreateTenant(CreateTenantRequest(display_name="x"), timeout=10)

    assert first.tenant.tenant_id == second.tenant.tenant_id == "system"


async def test_a_peer_is_dialled_by_name() -> None:
    async with auth_server() as auth, run(Example()) as bound:
        by_name = f"dns:///localhost:{auth.address.rpartition(':')[2]}"
        async with caller(by_name) as runtime:
            stub = AuthServiceStub(runtime.dial(f"dns:///localhost:{bound.grpc.port}"))
            created = await stub.CreateTenant(CreateTenantRequest(display_name="x"), timeout=10)

    # The token came over the channel to auth, which is dialled by name too.
    assert jwt.decode(created.tenant.tenant_id, options={"verify_signature": False})["ten"] == "system"


async def test_a_fault_of_the_service_itself_comes_out_as_it_is() -> None:
    async def start() -> None:
        async with caller("dns:///localhost:1") as runtime:
            runtime.dial("dns:///localhost:2")
            raise ValueError("a fault in bootstrap")

    with pytest.raises(ValueError, match="bootstrap"):
        await start()


async def test_a_token_that_cannot_be_judged_is_not_refused_for_good() -> None:
    async with auth_server() as auth:
        target = auth.target
        token = (await Auth.IssueToken(Auth(), _request(), None)).token  # type: ignore[abstract]  # as above
    async with run(Guarded(), settings(target)) as bound, grpc.aio.insecure_channel(str(bound.grpc)) as connection:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await AuthServiceStub(connection).CreateTenant(
                CreateTenantRequest(display_name="x"), metadata=[("authorization", f"Bearer {token}")], timeout=10
            )

    error = decode(failed.value, "example")
    assert (error.reason.name, error.domain) == ("PEER_UNAVAILABLE", "auth")
    assert error.retry_after is not None


def _request() -> IssueTokenRequest:
    request = IssueTokenRequest()
    request.service.secret = "s3cret"
    return request
