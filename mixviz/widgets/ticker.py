"""Work in the kernel's event loop, in small steps, so that sliders respond in between."""

import asyncio
import time
from collections.abc import Callable
from weakref import WeakMethod

from mixviz.errors import UserError

REST = 0.01  # seconds for everything else between two ticks, at least


class Ticker:
    """Calls a method repeatedly until it is stopped, or until its object is garbage-collected.

    tick: a bound method; it must be fast, since everything else waits for it. seconds: from tick to tick.
    """

    def __init__(self, tick: Callable[[], None], seconds: float):
        self.seconds = seconds
        self._tick = WeakMethod(tick)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Raises UserError if no loop runs, such as in a script."""
        if self.is_on:
            return
        try:
            self._task = asyncio.get_running_loop().create_task(self._repeat())
        except RuntimeError as error:
            raise UserError("playing needs a notebook: call run(steps) instead") from error

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _repeat(self) -> None:
        while (tick := self._tick()) is not None:
            began = time.monotonic()
            tick()
            del tick  # or the object would stay alive while this sleeps
            await asyncio.sleep(max(self.seconds - (time.monotonic() - began), REST))
