"""From a target to the addresses behind it: one scheme per module."""
