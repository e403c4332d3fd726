"""``python -m ddrs_core``: the command line."""

import os
import sys

# Waiting threads sleep rather than spin: beside another busy process that is ten times faster.
# The OpenMP library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from ddrs_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
