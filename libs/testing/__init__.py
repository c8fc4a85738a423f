"""What tests and the simulator stand on: a manual clock, misbehaving networks, fakes. Imported by tests alone."""
