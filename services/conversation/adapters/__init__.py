"""What implements the ports: Redis and the stubs of peers."""
