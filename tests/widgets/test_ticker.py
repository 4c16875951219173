"""A ticker goes on until it is stopped or its owner is gone, and lets everything else run in between."""

import asyncio
import gc

import pytest

from mixviz.errors import UserError
from mixviz.widgets.ticker import Ticker


class Owner:
    def __init__(self, seconds: float = 0.001):
        self.ticks = 0
        self.ticker = Ticker(self.tick, seconds)

    def tick(self) -> None:
        self.ticks += 1


async def until(condition, seconds: float = 5.0) -> bool:
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


def test_it_ticks_until_it_is_stopped():
    async def story():
        owner = Owner()
        owner.ticker.start()
        owner.ticker.start()  # twice is once
        assert await until(lambda: owner.ticks >= 3)
        assert owner.ticker.is_on
        owner.ticker.stop()
        assert not owner.ticker.is_on
        ticks = owner.ticks
        await asyncio.sleep(0.05)
        assert owner.ticks == ticks
        owner.ticker.start()
        assert await until(lambda: owner.ticks > ticks)
        owner.ticker.stop()

    asyncio.run(story())


def test_it_ends_with_its_owner():
    async def story():
        owners = [Owner()]
        owners[0].ticker.start()
        task = owners[0].ticker._task
        assert await until(lambda: owners[0].ticks)
        owners.clear()
        gc.collect()
        assert await until(task.done)
        assert task.exception() is None

    asyncio.run(story())


def test_a_tick_may_stop_it():
    class Once(Owner):
        def tick(self) -> None:
            super().tick()
            self.ticker.stop()

    async def story():
        owner = Once()
        owner.ticker.start()
        await asyncio.sleep(0.1)
        assert owner.ticks == 1

    asyncio.run(story())


def test_without_a_loop_it_says_what_to_do():
    owner = Owner()
    with pytest.raises(UserError, match=r"run\(steps\)"):
        owner.ticker.start()
    assert not owner.ticker.is_on
