"""Logs, metrics, traces and usage reports: what a process says about itself."""
