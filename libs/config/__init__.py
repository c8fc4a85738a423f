"""Settings: one frozen, validated class per service, read from the environment once, at start."""
