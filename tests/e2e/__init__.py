"""The whole mesh, in processes of its own, as a user meets it."""
