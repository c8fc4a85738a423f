"""A stand-in for Anthropic's HTTP API: the offline default, and what load tests and fault injection run against."""
