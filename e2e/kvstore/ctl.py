"""`python -m e2e.kvstore.ctl METHOD PATH`: the store's command line, for hooks that are commands.

Sends its standard input to the pod's own admin port and prints the answer. Exit code 0: done, 75: in progress or not
now, 1: anything else.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4
EXIT_CODES = {200: 0, 204: 0, 202: 75, 409: 75, 503: 75}


def main() -> int:
    """Ask once, and say what came of it."""
    method, path = sys.argv[1:]
    url = f"http://127.0.0.1:{os.environ.get('ADMIN_PORT', '8081')}{path}"
    request = urllib.request.Request(url, sys.stdin.buffer.read() or None, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    sys.stdout.buffer.write(body)
    return EXIT_CODES.get(status, 1)


if __name__ == "__main__":
    sys.exit(main())
