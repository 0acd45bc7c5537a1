"""Lets `python -m e2e.cluster` run the command line of `cli`."""

import sys

from e2e.cluster.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
