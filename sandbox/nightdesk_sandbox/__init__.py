"""Stand-ins for the outside world, so that the whole desk runs on one machine with nothing else around it.

The replay exchange speaks as much Bybit v5 as ccxt and pybit need and plays real hourly candles of one or two markets
back at a chosen speed, with any of the faults in `faults` while it runs. The inbox takes what Alertmanager sends to
Discord, Slack, Telegram, webhooks and by e-mail, fails on demand too, and shows it on a page. Start at `server`.

To serve, until stopped: `run_exchange`, `run_inbox`.
Before a replay: `why_anew` says why the last one cannot go on, `read_own_candles` what a person's own files hold.
A file of candles for a strategy of one's own: `read_candles`, by `CandleFileSettings`, or `CandlesError`.

Public submodules:
    settings: what `sandbox` may say; it loads pydantic
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_sandbox.errors import CandlesError
    from nightdesk_sandbox.last_replay import why_anew
    from nightdesk_sandbox.recordings.files.reader import read_candles
    from nightdesk_sandbox.recordings.files.settings import CandleFileSettings
    from nightdesk_sandbox.recordings.markets import read_own_candles
    from nightdesk_sandbox.server import run_exchange, run_inbox
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_sandbox.errors": ["CandlesError"],
            "nightdesk_sandbox.last_replay": ["why_anew"],
            "nightdesk_sandbox.recordings.files.reader": ["read_candles"],
            "nightdesk_sandbox.recordings.files.settings": ["CandleFileSettings"],
            "nightdesk_sandbox.recordings.markets": ["read_own_candles"],
            "nightdesk_sandbox.server": ["run_exchange", "run_inbox"],
        },
    )


__all__ = [
    "CandleFileSettings",
    "CandlesError",
    "read_candles",
    "read_own_candles",
    "run_exchange",
    "run_inbox",
    "why_anew",
]
