"""Files and folders that are their owner's alone."""

import os
import tempfile
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o700


def write_private(path: Path, text: str) -> None:
    """Put `text` at `path`, readable by its owner alone; whoever reads it meanwhile finds all of it or the former."""
    # Made anew, with mode 0600, and then put in its place: no older file lends it its permissions.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    made = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def make_private(directory: Path) -> None:
    """Have a directory that, unless it was there before, nobody else can enter.

    One that was there is left as it is: it may be one that others need.
    """
    directory.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
