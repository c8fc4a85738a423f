"""The `agentmesh` command: run the mesh on this machine, talk to it, look after it."""
