"""The front door: conversations, turns, jobs and their workers."""
