"""``python -m ddrs_core``: the command line."""

import sys

from ddrs_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
