"""The client-side balancer: a `grpc.aio.Channel` that resolves, picks, breaks circuits and retries by itself."""
