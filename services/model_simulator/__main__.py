"""`python -m services.model_simulator`; `--help` lists the settings."""

import sys

import uvloop

from libs.config.settings import load
from libs.telemetry import logs
from services.model_simulator.bootstrap import SERVICE, run
from services.model_simulator.settings import SimulatorSettings


def main() -> None:
    """Run the simulator until it is told to stop."""
    settings = load(SimulatorSettings, sys.argv[1:])
    logs.configure(SERVICE, settings.log_level, settings.log_format)
    uvloop.run(run(settings))


if __name__ == "__main__":
    main()
