"""The four kinds of calls, each a drop-in for grpc.aio's."""
