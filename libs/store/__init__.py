"""Redis behind typed errors: connections, Lua scripts, durable work queues, and an embedded server for development."""
