"""The whole mesh as processes of this machine: for development, the demo, end-to-end tests and benchmarks."""
