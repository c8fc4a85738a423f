"""`python -m services.conversation` serves the front door; `... worker` works off jobs."""

import sys

from libs.server.run import run_service
from services.conversation.bootstrap import build, build_worker
from services.conversation.settings import Settings


def main() -> None:
    """Run the part of the service that the first argument names."""
    if sys.argv[1:2] == ["worker"]:
        run_service("conversation-worker", Settings, build_worker)
    else:
        run_service("conversation", Settings, build)


if __name__ == "__main__":
    main()
