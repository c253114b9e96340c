"""Brings a stored series up to date: asks for what is missing, holds the overlap against what is stored, fills gaps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from loguru import logger
from nightdesk_core.clock import iso
from nightdesk_core.models.pipeline import DataError
from numpy.typing import NDArray

from nightdesk_trendbot.candle_store import quality
from nightdesk_trendbot.candle_store.spans import missing, together, within
from nightdesk_trendbot.candle_store.store import DamagedStoreError, Rows, StoreFile
from nightdesk_trendbot.signals.candles import Floats, Ints

_PAGES_A_COMMIT = 25
"""After so many pages what was fetched is safe. A file is written whole: 0.3 s for a million rows."""


class Page(NamedTuple):
    """One answer of the exchange, in any order: `time` (N,) in Unix seconds, `values` (N, K)."""

    time: Ints
    values: Floats
    reached: int
    """Up to this time the exchange has told what it has."""


Pages = Callable[[int, int], AsyncIterator[Page]]
"""Asks for [start, stop), page by page, oldest first. Raises `DataError` where the exchange does not answer."""


@dataclass(frozen=True)
class Series:
    """What kind of rows a series has."""

    columns: tuple[str, ...]
    sound: Callable[[Ints, Floats], NDArray[np.bool_]]
    """Returns which rows may be kept, shape (N,)."""
    identity: int
    """So many of the columns, the first ones, are what shows that two worlds are one; the others get revised."""
    overlap_seconds: int
    """So much of what is stored last is asked for again each time."""
    interval_seconds: int
    """How far apart rows lie at most, where none is missing."""
    page_seconds: int
    """So much is asked for at once in filling gaps."""


@dataclass
class Collected:
    """A series' sound rows of the window, and how they came about. Times are opens in Unix seconds."""

    rows: Rows
    rejected: Rows
    """What the exchange gave that cannot be true, and gave again; a time may stand here twice."""
    stored: int
    """How many rows of the window lay in the store."""
    fetched: int = 0
    revised: list[int] = field(default_factory=list)
    """Stored rows that the exchange tells otherwise by now; its newest word counts."""
    repaired: list[int] = field(default_factory=list)
    """Rows that an earlier answer lacked."""
    notes: list[str] = field(default_factory=list)
    """What became of the store, where it was more than being added to."""


class Refresh:
    """One series on its way up to date. Whatever ends it, what was fetched before stays in the store."""

    def __init__(self, file: StoreFile, series: Series, pages: Pages, progress: Callable[[float], None]) -> None:
        self._file = file
        self._series = series
        self._pages = pages
        self._progress = progress
        self._rows = self._nothing
        self._rejected = self._nothing
        self._done = Collected(self._rows, self._rejected, 0)

    @property
    def _nothing(self) -> Rows:
        return Rows.none(len(self._series.columns))

    async def run(self, start: int, stop: int) -> Collected:
        """Return the rows of [start, stop), `stop` being no later than the exchange's now. Raises `DataError`."""
        with self._file.held():
            self._rows = self._known(stop)
            await self._hold_overlap(start, stop)
            self._done.stored = len(self._rows.between(start, stop))
            left = missing(self._rows.covered, (start, stop))
            seconds = sum(end - begin for begin, end in left)
            done = 0
            for begin, end in left:
                await self._fetch(begin, end, partial(self._advance, done, seconds))
                done += end - begin
            await self._fill_gaps(start, stop)
        self._done.rows = self._rows.between(start, stop)
        self._done.rejected = self._rejected
        self._progress(1.0)
        return self._done

    def _known(self, stop: int) -> Rows:
        """Return what is stored and lies before `stop`: what lies ahead comes from another run of this market."""
        try:
            rows = self._file.load()
        except DamagedStoreError as error:
            self._note(f"{error}; it is set aside as {self._file.set_aside().name}, and all is fetched anew")
            return self._nothing
        ahead = len(rows) - int(np.searchsorted(rows.time, stop))
        if ahead:
            self._note(f"{ahead} stored rows lie ahead of the exchange's time, {iso(stop)}: they are dropped")
        known = rows.between(0, stop)
        if ahead or known.covered != rows.covered:
            # What is yet to come must not be believed later, when it has.
            self._file.save(known)
        return known

    async def _hold_overlap(self, start: int, stop: int) -> None:
        """Ask for the newest stored rows once more; where most of them differ, it is another market's history."""
        known = self._rows.between(start, stop)
        if len(known) == 0 or not known.covered:
            return
        # From the last row, not from the last time that was asked for: a clock that was ahead put that too late.
        newest, end = int(known.time[-1]) + self._series.interval_seconds, known.covered[-1][1]
        begin = max(start, min(newest, end) - self._series.overlap_seconds)
        stored = known.between(begin, end)
        # What cannot be read is to ccxt an answer without rows.
        told = await self._ask(begin, end) or await self._ask(begin, end)
        if len(stored) and not len(told) and not len(self._rejected):
            raise DataError(
                f"asked twice, the exchange tells nothing of the {len(stored)} rows from {iso(begin)} on that it told "
                f"before; if it is another market by now, move {self._file.path} away"
            )
        here, there = stored.shared(told)
        same = (stored.values[here] == told.values[there])[:, : self._series.identity].all(axis=1).sum()
        if 2 * same < len(here):
            aside = self._file.set_aside()
            self._note(
                f"{len(here) - same} of {len(here)} rows stored from {iso(begin)} on are not the exchange's: "
                f"{self._file.path.name} is of another market, set aside as {aside.name}, and all is fetched anew"
            )
            self._rows = self._nothing
            return
        if gone := len(stored) - len(here):
            self._note(f"{gone} of the rows stored from {iso(begin)} on the exchange has no longer; they stay")
        self._done.repaired += [int(time) for time in np.setdiff1d(told.time, stored.time)]
        self._take(told)

    async def _ask(self, start: int, stop: int) -> Rows:
        """Return the sound rows that the exchange tells of [start, stop)."""
        told = self._nothing
        async for page in self._pages(start, stop):
            told = told.merged(self._sound(page))
        return told

    def _advance(self, done: int, whole: int, seconds: int) -> None:
        self._progress((done + seconds) / whole)

    async def _fetch(self, start: int, stop: int, progress: Callable[[int], object] = int) -> None:
        """Ask for a span, and commit every so many pages and whatever came before an error."""
        pages: list[Page] = []
        try:
            async for page in self._pages(start, stop):
                pages.append(page)
                progress(page.reached - start)
                if len(pages) == _PAGES_A_COMMIT:
                    self._commit(start, pages)
        finally:
            if pages:
                self._commit(start, pages)

    def _commit(self, start: int, pages: list[Page]) -> None:
        reached = max(page.reached for page in pages)
        time, values = np.concatenate([page.time for page in pages]), np.concatenate([page.values for page in pages])
        pages.clear()
        told = self._sound(Page(time, values, reached))
        # Nothing at all is also what an exchange answers that is out of order: before the first row of a series no
        # time counts as asked for.
        first = [int(rows.time[0]) for rows in (self._rows, told) if len(rows)]
        self._take(Rows(told.time, told.values, within([(start, reached)], (min(first, default=reached), reached))))

    def _take(self, told: Rows) -> None:
        """Merge what the exchange told into what is known, and write it down."""
        here, there = self._rows.shared(told)
        changed = (self._rows.values[here] != told.values[there]).any(axis=1)
        self._done.revised += [int(time) for time in self._rows.time[here[changed]]]
        self._done.fetched += len(told)
        news = len(here) < len(told) or bool(changed.any())
        before = self._rows
        merged = before.merged(told if news else Rows(told.time[:0], told.values[:0], told.covered))
        self._rows = merged.uncovered([(int(t), int(t) + 1) for t in self._rejected.time])
        if news or self._rows.covered != before.covered:
            self._file.save(self._rows)

    async def _fill_gaps(self, start: int, stop: int) -> None:
        """Ask once more for what is missing between the rows, before the first and after the last of them.

        An answer may have been cut short, or have been none. Before the first row that is a page at most: there it is
        the rule that nothing comes.
        """
        interval, page = self._series.interval_seconds, self._series.page_seconds
        rows = self._rows.between(start, stop)
        if len(rows) == 0:
            return
        first, last = int(rows.time[0]), int(rows.time[-1])
        ends = [(max(start, first - page), first), (last + interval, stop)]
        for begin, end in together([*quality.gaps(rows.time, interval), *ends], longest=page):
            known = self._rows.between(begin, end).time
            await self._fetch(begin, end)
            self._done.repaired += [int(t) for t in np.setdiff1d(self._rows.between(begin, end).time, known)]

    def _sound(self, page: Page) -> Rows:
        """Return a page's sound rows in order, each time once; note the others, and that what was so is no longer."""
        time, at, count = np.unique(page.time, return_index=True, return_counts=True)
        sound = self._series.sound(page.time, page.values)
        twice = np.flatnonzero(np.isin(page.time, time[count > 1]))
        first = at[np.searchsorted(time, page.time[twice])]
        # The same row twice is one; two rows of one time are none.
        torn = page.time[twice][(page.values[twice] != page.values[first]).any(axis=1)]
        sound &= ~np.isin(page.time, torn)
        told = Rows(time[sound[at]], page.values[at][sound[at]])
        bad = ~sound
        still = ~np.isin(self._rejected.time, page.time)
        self._rejected = Rows(
            np.concatenate([self._rejected.time[still], page.time[bad]]),
            np.concatenate([self._rejected.values[still], page.values[bad]]),
        )
        return told

    def _note(self, what: str) -> None:
        logger.warning("{}", what)
        self._done.notes.append(what)
