"""Vocabulary every part shares: clock, randomness, deadlines, errors, ids, money. Imports nothing of ours."""
