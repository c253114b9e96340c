"""The thread that does jobs for the server's event loop: in which order, which once, and which not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from nightdesk_exporter.web.executor import BusyError, CoalescingExecutor

SECONDS = 10


class Held:
    """An executor whose first job lasts until it is let go, and the names of the jobs that were done after it."""

    def __init__(self, *, most_waiting: int, newest_first: bool) -> None:
        self.executor = CoalescingExecutor("test", most_waiting=most_waiting, newest_first=newest_first)
        self.go = threading.Event()
        self.began = threading.Event()
        self.done: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, *, first: bool = False) -> None:
        await self.executor.do(name, self._job(name), first=first)

    async def asked(self, *names: str, first: bool = False) -> None:
        """Ask for jobs one after the other, and wait for none."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self.ask(name, first=first))
            await asyncio.sleep(0)

    def _job(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    def hold(self) -> None:
        self.began.set()
        assert self.go.wait(SECONDS)


@asynccontextmanager
async def held(*, most_waiting: int = 10, newest_first: bool = False) -> AsyncIterator[Held]:
    found = Held(most_waiting=most_waiting, newest_first=newest_first)
    holding = asyncio.create_task(found.executor.do("held", found.hold))
    assert await asyncio.to_thread(found.began.wait, SECONDS)
    yield found
    found.go.set()
    await holding
    await asyncio.gather(*found.tasks.values(), return_exceptions=True)
    found.executor.close()
    found.executor.join(SECONDS)


async def test_jobs_are_done_in_turn_and_those_that_are_first_before_the_others() -> None:
    async with held() as found:
        await found.asked("a", "b")
        await found.asked("c", first=True)
        await found.asked("a")
    assert found.done == ["c", "a", "b"]


async def test_newest_first_what_is_asked_for_again_is_the_newest() -> None:
    async with held(newest_first=True) as found:
        await found.asked("scraper", "guess 1", "guess 2", "scraper")
    assert found.done == ["scraper", "guess 2", "guess 1"]


async def test_where_too_many_wait_the_newest_is_refused_or_newest_first_the_oldest_dropped() -> None:
    async with held(most_waiting=3) as found:
        await found.asked("a", "b")
        with pytest.raises(BusyError):
            await found.ask("c")
        await found.asked("d", first=True)
    assert found.done == ["d", "a", "b"]
    async with held(most_waiting=3, newest_first=True) as found:
        await found.asked(*(str(number) for number in range(1_000)))
        assert len(found.executor._waiting) == 2  # nothing that was dropped is kept
        with pytest.raises(BusyError):
            await found.tasks["0"]
    assert found.done == ["999", "998"]


async def test_what_a_job_raises_reaches_everybody_who_waits_for_it_and_ends_nothing() -> None:
    def fail() -> None:
        raise KeyError("x")

    async with held() as found:
        both = [asyncio.create_task(found.executor.do("fails", fail)) for _ in range(2)]
        await found.asked("a")
    for each in both:
        with pytest.raises(KeyError):
            await each
    assert found.done == ["a"]


async def test_a_job_whose_asker_has_gone_is_done_all_the_same() -> None:
    async with held() as found:
        await found.asked("a")
        found.tasks["a"].cancel()
        found.go.set()
        async with asyncio.timeout(SECONDS):
            while not found.done:  # what still waits when it is closed is not done
                await asyncio.sleep(0.01)
    assert found.done == ["a"]
