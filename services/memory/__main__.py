"""`python -m services.memory` serves the memory service until it is told to stop."""

from libs.server.run import run_service
from services.memory.bootstrap import build
from services.memory.settings import MemorySettings

if __name__ == "__main__":
    run_service("memory", MemorySettings, build)
