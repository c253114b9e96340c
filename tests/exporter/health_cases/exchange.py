"""Contact, stream and clocks."""

from __future__ import annotations

from nightdesk_alerts.catalogue.exchange import CLOCK_SKEWED, EXCHANGE_DISCONNECTED
from nightdesk_core.clock import WallTime
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Issue

from tests.exporter.conftest import NOW, Clock, late
from tests.exporter.health_cases.case import DEGRADED, UNHEALTHY_VERDICT, AlertStory, Case, critical, says, warning
from tests.exporter.story import after, without


def stream_broken(exporter: BotExporter, clock: Clock) -> None:
    exporter.connection(connected=False)
    late(301, "loop", "contact")(exporter, clock)


CASES = (
    Case(
        late(301, "loop"),
        Issue(
            "exchange_disconnected",
            UNHEALTHY_VERDICT,
            "no contact with the exchange for 301 s, the limit is 300 s",
            300,
            WallTime(NOW + 300),
            critical(EXCHANGE_DISCONNECTED),
        ),
        AlertStory(
            plot=without("contact", "candle", from_minute=10),
            known_by=lambda snapshot: snapshot.contact_at_wall.update(ws=snapshot.started_at.seconds),
        ),
    ),
    Case(
        stream_broken,
        Issue(
            "websocket_disconnected",
            DEGRADED,
            "the candle stream has been broken for 301 s, the limit is 300 s",
            300,
            WallTime(NOW + 300),
        ),
        None,
    ),
    Case(
        lambda exporter, _: exporter.clock_offset(-2.5),
        Issue(
            "clock_skewed",
            DEGRADED,
            "the exchange's clock is -2.5 s from ours, the limit is 2 s",
            2,
            WallTime(NOW),
            warning(CLOCK_SKEWED),
        ),
        AlertStory(
            plot=after(lambda exporter: exporter.clock_offset(-2.1), instead="clock"),
            waits=5,
            known_by=says("clock_offset", 0.1),
        ),
    ),
)
