"""`python -m services.auth.secrets` prints fresh values for the settings that auth requires, as environment lines."""

import base64
import os
import sys
from collections.abc import Mapping

from libs.config.settings import variable
from libs.core.ids import random_id
from services.auth.signing import decode_key, signing_keys

_CHARACTERS = 40
"""200 bits, as each character carries 5."""


def fresh_secrets() -> Mapping[str, str]:
    """A new installation's secrets by environment variable; `AGENTMESH_SERVICE_SECRET` goes to every service."""
    return {
        variable("signing_key"): base64.b64encode(os.urandom(32)).decode(),
        variable("key_pepper"): random_id("", _CHARACTERS),
        variable("service_secret"): random_id("", _CHARACTERS),
        variable("root_key"): random_id("root-", _CHARACTERS),
    }


def lines() -> list[str]:
    """The secrets as lines of an environment file, and the public half of the signing key as a comment."""
    fresh = fresh_secrets()
    public = signing_keys(decode_key(fresh[variable("signing_key")])).private.public_key().public_bytes_raw()
    text = [f"{name}={value}" for name, value in fresh.items()]
    return [*text, f"# the public half of {variable('signing_key')}: {base64.b64encode(public).decode()}"]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
