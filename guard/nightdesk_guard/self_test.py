"""The kill switch's self-test: a switch of its own, in the same folder, is made to trip in every way that it can."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nightdesk_core.clock import MarketTime, WallClock, system_clock
from nightdesk_core.files.disk import is_unwritable, reason_of
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.units import DAY_SECONDS

from nightdesk_guard.kill_switch import KillSwitch, KillSwitchState
from nightdesk_guard.tripwire import AccountView, Anchors, KillLimits, Tripwire

_PREFIX = ".drill-"
_PROBE_BYTES = 65_536
"""More than all that a drill writes."""
_ABANDONED_SECONDS = 3600.0
"""A drill takes a moment: what it left so long ago is of one that was killed."""


class DiskError(Exception):
    """The disk takes nothing at present: whether the switch would act cannot be tried."""


def drill(
    state_dir: Path, limits: KillLimits, *, acts: Callable[[], str] = str, clock: WallClock = system_clock
) -> str:
    """Return what did not work, empty where the switch would act.

    It writes to the disk that the real latch lies on, and leaves the latch as it is. `acts` says what of the bot itself
    would not obey an active switch, empty where all of it would. Raises `DiskError` where the disk takes nothing.
    """
    try:
        _sweep(state_dir)
        with tempfile.TemporaryDirectory(dir=state_dir, prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
            failed = [what for what, worked in _attempts(Path(folder), limits, clock) if not worked]
            if failed:
                # Was it the disk? It may have filled amid the drill.
                write_atomic(Path(folder) / "probe", bytes(_PROBE_BYTES))
        disobeys = acts()
    except OSError as error:
        if is_unwritable(error):
            raise DiskError(reason_of(error)) from error
        return f"the self-test failed: {error!r}"
    except Exception as error:  # noqa: BLE001 - a test that fails in a way nobody thought of has failed
        return f"the self-test failed: {error!r}"
    return "; ".join([*failed, disobeys] if disobeys else failed)


def _sweep(state_dir: Path) -> None:
    """Remove what a drill that was killed has left behind. What cannot be removed is no reason to stop the bot."""
    for folder in state_dir.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(folder)


def _attempts(folder: Path, limits: KillLimits, clock: WallClock) -> Iterator[tuple[str, bool]]:
    """Yield what would be wrong, and whether all is well: that it tripped, held on the disk, and could be lifted."""
    now = clock()
    calm = AccountView(equity=1000.0, leverage=0.0, market_time=MarketTime(now.seconds))
    fallen = replace(calm, equity=1000.0 * (1 - limits.floor_drawdown) - 0.001)
    loser = replace(calm, equity=1000.0 * (1 - limits.daily_loss) - 0.001)
    geared = replace(calm, leverage=limits.leverage * 1.001)
    dark = replace(calm, priced_at=now - limits.stale_seconds - 1)
    yesterday = calm.market_time - 2 * DAY_SECONDS

    def blind() -> AccountView:
        raise ArithmeticError("a drill")

    yield "it tripped for nothing", not _wire(folder / "calm", limits, clock).look(lambda: calm).active
    views: dict[str, Callable[[], AccountView]] = {
        "the floor": lambda: fallen,
        "a daily loss": lambda: loser,
        "leverage": lambda: geared,
        "a stale price": lambda: dark,
        "its own failure": blind,
    }
    for name, view in views.items():
        wire = _wire(folder / name.replace(" ", "-"), limits, clock)
        wire.look(lambda: replace(calm, market_time=yesterday if name == "the floor" else calm.market_time))  # noqa: B023 - called at once
        yield f"it did not trip for {name}", wire.look(view).active and _holds(wire.switch)
    wire = _wire(folder / "file", limits, clock)
    write_atomic(wire.switch.kill_file, b"")
    yield "it did not trip for the file KILL", wire.look(lambda: calm).active and _holds(wire.switch)


def _wire(folder: Path, limits: KillLimits, clock: WallClock) -> Tripwire:
    return Tripwire(KillSwitch(folder, clock=clock), limits, anchors=Anchors(), clock=clock)


def _holds(switch: KillSwitch) -> bool:
    """Return whether the latch is read back as active by another, and can be lifted by a person only."""
    again: KillSwitchState = KillSwitch(switch.path.parent).state()
    return again.active and again.activations == 1 and not switch.resume("the end of a drill", actor="drill").active
