"""What implements the ports: Redis and the embedding model."""
