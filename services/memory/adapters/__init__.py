"""What implements the ports: Redis."""
