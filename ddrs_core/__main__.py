"""``python -m ddrs_core``: the command line."""

import os
import sys

# Waiting threads sleep: threads that spin slow everything down when the processor is shared.
# The OpenMP library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from ddrs_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
