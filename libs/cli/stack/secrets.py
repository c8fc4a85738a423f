"""The secrets of a local installation: made once, kept readable by their owner alone."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from libs.cli.stack.private_file import make_private, write_private

_FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What services of one installation share, or keep."""

    service_secret: str
    signing_key: str
    key_pepper: str
    root_key: str

    @classmethod
    def load_or_make(cls, directory: Path) -> Self:
        """Those of the directory, so that keys made in an earlier run still open it."""
        make_private(directory)
        path = directory / _FILE
        if path.exists():
            return cls(**json.loads(path.read_text()))
        made = cls(
            service_secret=secrets.token_hex(32),
            signing_key=base64.b64encode(secrets.token_bytes(32)).decode(),
            key_pepper=secrets.token_hex(32),
            root_key=secrets.token_hex(32),
        )
        write_private(path, json.dumps(asdict(made)))
        return made
