"""The concerns of every call, one per file; their order is `libs.server.chain.ORDER`."""
