"""How property tests run: the same examples every time, however busy the machine is."""

from hypothesis import settings

seeded = settings(derandomize=True, deadline=None)
