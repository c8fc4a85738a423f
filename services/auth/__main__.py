"""`python -m services.auth` serves the auth service until it is told to stop."""

from libs.server.run import run_service
from services.auth.bootstrap import build
from services.auth.settings import AuthSettings

if __name__ == "__main__":
    run_service("auth", AuthSettings, build)
