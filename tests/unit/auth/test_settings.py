import pytest

from libs.config.settings import describe
from libs.testing.settings import faults
from services.auth.secrets import fresh_secrets
from services.auth.settings import AuthSettings
from services.auth.signing import signing_keys


def test_fresh_secrets_are_all_that_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fresh_secrets().items():
        monkeypatch.setenv(name, value)
    settings = AuthSettings()
    assert len(settings.signing_seed) == 32
    assert settings.previous_public_key_bytes == ()
    assert fresh_secrets() != fresh_secrets()


def test_without_secrets_all_four_are_named() -> None:
    named = {fault.split(":")[0] for fault in faults(AuthSettings, {})}
    assert named == set(fresh_secrets())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signing_key", "c2hvcnQ="),
        ("previous_public_keys", "not-base64!"),
        ("key_pepper", "short-secret"),
        ("service_secret", "short-secret"),
        ("root_key", "short-secret"),
        ("burst_seconds", 0),
        ("grant_seconds", 6),
        ("redis_url", "http://x"),
        ("default_user_per_minute", 0),
    ],
)
def test_a_bad_value_is_named_and_not_quoted(field: str, value: str | int) -> None:
    good = {name.removeprefix("AGENTMESH_").lower(): secret for name, secret in fresh_secrets().items()}
    lines = faults(AuthSettings, {**good, field: value})
    assert len(lines) == 1
    assert lines[0].startswith(f"AGENTMESH_{field.upper()}: ")
    assert isinstance(value, int) or value not in lines[0]


def test_previous_keys_are_read_from_a_list() -> None:
    public = signing_keys(bytes(32)).private.public_key().public_bytes_raw()
    text = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
    good = {name.removeprefix("AGENTMESH_").lower(): secret for name, secret in fresh_secrets().items()}
    settings = AuthSettings.model_validate({**good, "previous_public_keys": f"{text}, {text}"})
    assert settings.previous_public_key_bytes == (public, public)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in AuthSettings.model_fields.values())
    assert "AGENTMESH_ROOT_KEY" in describe(AuthSettings)
