"""An asyncio event loop that lives in simulated time.

Where the operator's tasks would wait, time passes: to the next event of the timeline or to the next timer of the
loop, whichever is earlier. So the operator's own code runs as it is, sleeps and timeouts included, and a day takes
as long as its events take to compute.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from tests.simulation.world.timeline import Timeline

T = TypeVar("T")


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Lets a timeline pass while all tasks wait.

    Attributes:
        timeline: what happens.
        look: called whenever all tasks wait, before time passes; True says that one need not wait any more.
    """

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.look: Callable[[], bool] = lambda: False
        super().__init__(_Waiting(self))

    def time(self) -> float:
        """The simulated time in seconds since it began: small numbers, so that no precision is lost."""
        return self.timeline.elapsed

    def pass_time(self, seconds: float | None) -> None:
        """All tasks wait, for that long at most (None: until something happens)."""
        if self.look():
            return
        if seconds is None and self.timeline.next_due() is None:
            raise RuntimeError("every task waits, and nothing will ever happen")
        self.timeline.step_or_pass(seconds)

    @classmethod
    def current(cls) -> SimulatedLoop:
        """The running loop, which has to be a simulated one."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, cls):
            raise TypeError("a world lives in a SimulatedLoop: use simulate(), or the fixtures of tests/simulation")
        return loop


class _Waiting(selectors.BaseSelector):
    """The loop's selector: instead of waiting for a file it lets simulated time pass.

    No file is ever ready: nothing comes from outside a simulated world.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._files = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files.get_map()

    def close(self) -> None:
        self._files.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._loop.pass_time(timeout)
        return []


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a simulated loop of its own."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
