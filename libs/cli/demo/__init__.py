"""`agentmesh demo`: a real conversation through every service, each step checked, costed and timed."""
