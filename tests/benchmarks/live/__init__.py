"""Replicas in processes of their own, what happens to them, and who spreads calls over them."""
