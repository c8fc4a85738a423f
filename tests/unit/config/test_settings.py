import pytest
from pydantic import Field, SecretStr, ValidationError

from libs.config.settings import Settings, describe, load, variable
from libs.testing.settings import faults


class ExampleSettings(Settings):
    """Settings of an example."""

    workers: int = Field(ge=1, description="how many work at once")
    key: SecretStr = Field(default=SecretStr("hush"), description="what it proves itself with")


def test_the_environment_fills_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMESH_WORKERS", "3")
    monkeypatch.setenv("AGENTMESH_LOG_LEVEL", "debug")

    settings = load(ExampleSettings)

    assert (settings.workers, settings.log_level) == (3, "debug")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMESH_WORKERS", "1")
    monkeypatch.setenv("AGENTMESH_LOG_LEVEL", "")

    assert load(ExampleSettings).log_level == "info"


def test_every_fault_is_listed_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AGENTMESH_LOG_LEVEL", "loud")
    monkeypatch.setenv("AGENTMESH_TRACE_SAMPLE_RATIO", "2")

    with pytest.raises(SystemExit) as stopped:
        load(ExampleSettings)

    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "3 setting(s)" in told
    for name in ("AGENTMESH_WORKERS", "AGENTMESH_LOG_LEVEL", "AGENTMESH_TRACE_SAMPLE_RATIO"):
        assert name in told


def test_a_fault_never_shows_the_value_which_may_be_secret() -> None:
    told = faults(ExampleSettings, {"workers": "s3cret"})

    assert len(told) == 1
    assert "AGENTMESH_WORKERS" in told[0]
    assert "s3cret" not in told[0]


def test_valid_values_have_no_faults() -> None:
    assert faults(ExampleSettings, {"workers": 1}) == []


def test_help_explains_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(ExampleSettings, ["--help"])

    told = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "AGENTMESH_WORKERS\n      how many work at once (required)" in told
    assert "hush" not in told


def test_settings_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMESH_WORKERS", "1")
    settings = load(ExampleSettings)

    with pytest.raises(ValidationError):
        settings.workers = 2  # type: ignore[misc]  # the very thing that must fail


def test_a_description_starts_with_what_the_settings_are_of() -> None:
    assert describe(ExampleSettings).startswith("Settings of an example.")


def test_variables_carry_the_prefix() -> None:
    assert variable("log_level") == "AGENTMESH_LOG_LEVEL"
