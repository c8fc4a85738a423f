"""What implements the ports: Anthropic's API, and the books."""
