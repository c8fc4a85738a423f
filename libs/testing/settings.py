"""Settings without an environment."""

from collections.abc import Mapping

from pydantic import ValidationError

from libs.config.settings import Settings, fault_lines


def faults(settings_type: type[Settings], values: Mapping[str, object]) -> list[str]:
    """What is wrong with field values given by name, as a process would be told; empty if nothing is."""
    try:
        settings_type.model_validate(values)
    except ValidationError as error:
        return fault_lines(error)
    return []
