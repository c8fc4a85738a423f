"""Runs the monitoring service: `python -m services.monitoring`."""

from libs.server.run import run_service
from services.monitoring.bootstrap import build
from services.monitoring.settings import MonitoringSettings

if __name__ == "__main__":
    run_service("monitoring", MonitoringSettings, build)
