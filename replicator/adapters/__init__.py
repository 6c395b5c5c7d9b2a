"""The outside: one thing in each file, its exceptions translated into those of `replicator.errors`."""
