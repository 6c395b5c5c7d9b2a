"""The outside: one thing in each file, its exceptions translated into those of `replicator.errors`."""

import os

# gRPC reads it when it is first imported; its own lines on stderr belong to no log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
