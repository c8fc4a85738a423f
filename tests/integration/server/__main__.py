"""The example as a process of its own: `python -m tests.integration.server`."""

from libs.server.run import run_service
from tests.integration.server.example import Example, ExampleSettings

if __name__ == "__main__":
    run_service("example", ExampleSettings, Example().build)
