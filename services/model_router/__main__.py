"""`python -m services.model_router`: serve until told to stop."""

from libs.server.run import run_service
from services.model_router.bootstrap import build
from services.model_router.settings import RouterSettings

if __name__ == "__main__":
    run_service("model_router", RouterSettings, build)
