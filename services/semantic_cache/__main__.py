"""`python -m services.semantic_cache` serves the semantic cache until it is told to stop."""

from libs.server.run import run_service
from services.semantic_cache.bootstrap import build
from services.semantic_cache.settings import SemanticCacheSettings

if __name__ == "__main__":
    run_service("semantic_cache", SemanticCacheSettings, build)
