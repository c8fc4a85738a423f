"""What tests stand on: a manual clock, real gRPC servers in the test's process, servicer contexts, plain settings."""
