"""A deterministic network of servers in virtual time, underneath the real `MeshChannel`."""
