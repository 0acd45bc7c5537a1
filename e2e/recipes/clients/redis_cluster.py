"""A client of a Redis Cluster: it writes keys and reads them back, and tries nothing twice.

    python -m e2e.recipes.clients.redis_cluster --host redis

It follows the cluster's redirections, as every client of a cluster must. A connection that breaks under a command is a
failure.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from redis.asyncio.cluster import RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from e2e.recipes.clients.control import Figures, live

COMMAND_SECONDS = 2.0
START_SECONDS = 120.0
SWEEP_SECONDS = 60.0
LOOK_SECONDS = 0.5


class RedisClient:
    """Writes a new key and reads an old one, so many times a second; `longest_wait_ms` is of any command."""

    def __init__(self, host: str, rate: float) -> None:
        self.figures = Figures(notes={"longest_wait_ms": 0})
        self._period = 1.0 / rate
        self._written: list[int] = []
        self._cluster = RedisCluster(
            host=host,
            socket_timeout=COMMAND_SECONDS,
            socket_connect_timeout=COMMAND_SECONDS,
            retry=Retry(NoBackoff(), 0),
            cluster_error_retry_attempts=0,
        )

    async def prepare(self) -> None:
        """Wait until the cluster serves all slots."""
        give_up_at = time.monotonic() + START_SECONDS
        while not await self._serves():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"the cluster does not serve after {START_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def use(self, stop: asyncio.Event) -> None:
        """Write and read, at a steady pace whatever the answers."""
        number, due = 0, time.monotonic()
        while not stop.is_set():
            if await self._command(self._cluster.set(f"key-{number}", str(number))) is not None:
                self._written.append(number)
            if self._written:
                known = self._written[number * 7919 % len(self._written)]
                if (found := await self._command(self._cluster.get(f"key-{known}"))) is not None:
                    self._compare(known, found)
            number, due = number + 1, due + self._period
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def look_again(self) -> None:
        """Read every key that was acknowledged; what cannot be read within a minute is lost, too."""
        give_up_at = time.monotonic() + SWEEP_SECONDS
        for number in self._written:
            while True:
                try:
                    self._compare(number, await self._cluster.get(f"key-{number}"))
                    break
                except RedisError:
                    if time.monotonic() > give_up_at:
                        self.figures.lost += 1
                        break
                    await asyncio.sleep(LOOK_SECONDS)
        await self._cluster.aclose()

    async def _serves(self) -> bool:
        try:
            await self._cluster.initialize()
            await self._cluster.set("begun", "1")
        except RedisError:
            return False
        return True

    def _compare(self, number: int, found: object) -> None:
        if found != str(number).encode():
            self.figures.lost += 1

    async def _command(self, command: object) -> object:
        """The answer; None where there was none."""
        self.figures.requests += 1
        began = time.monotonic()
        try:
            return await command  # type: ignore[misc]
        except (RedisError, OSError, TimeoutError) as error:
            self.figures.failure(error)
            return None
        finally:
            waited = round(1000 * (time.monotonic() - began))
            self.figures.notes["longest_wait_ms"] = max(self.figures.notes["longest_wait_ms"], waited)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="redis")
    parser.add_argument("--rate", type=float, default=40.0, help="keys per second")
    chosen = parser.parse_args()
    asyncio.run(live(RedisClient(chosen.host, chosen.rate)))
