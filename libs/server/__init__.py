"""The server harness: what every service gets for free, from the interceptor chain to the drain."""
