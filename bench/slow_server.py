"""A server that takes its time over every answer to a hook, and says a few times that it is not done yet.

    python slow_server.py PORT ANSWER_SECONDS UNFINISHED_ANSWERS

Runs alone in a pod, on the standard library. `GET /figures` is answered at once, with what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

BACKLOG = 1024


class SlowServer:
    """Counts the questions by their id, and how many are in flight."""

    def __init__(self, answer_seconds: float, unfinished_answers: int) -> None:
        self._answer_seconds = answer_seconds
        self._unfinished_answers = unfinished_answers
        self._asked = Counter[str]()
        self._in_flight = 0
        self._most_in_flight = 0

    async def answer(self, method: str, body: bytes) -> tuple[int, dict[str, int]]:
        """The status code and the document."""
        if method == "GET":
            return 200, {"requests": self._asked.total(), "mostInFlight": self._most_in_flight}
        question = json.loads(body)["id"]
        self._asked[question] += 1
        left = max(0, self._unfinished_answers + 1 - self._asked[question])
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        await asyncio.sleep(self._answer_seconds)
        self._in_flight -= 1
        return 202 if left else 200, {"progress": left}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, document = await self.answer(head[0].partition(" ")[0], body)
            content = json.dumps(document).encode()
            writer.write(f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n".encode())
            writer.write(f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Whoever asked has gone.
        finally:
            writer.close()


async def main(port: int, answer_seconds: float, unfinished_answers: int) -> None:
    """Serve until the process is ended."""
    slow = SlowServer(answer_seconds, unfinished_answers)
    server = await asyncio.start_server(slow.serve, "", port, backlog=BACKLOG)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
