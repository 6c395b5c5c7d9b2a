"""`python -m replicator.config` prints docs/configuration.md."""

import sys

from replicator.config.reference import reference

sys.stdout.write(reference())
