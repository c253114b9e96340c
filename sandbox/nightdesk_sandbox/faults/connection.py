"""Faults of the connection: nothing of the market is wrong, but it does not get through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from aiohttp import web
from nightdesk_core.units import DAY_SECONDS
from pydantic import Field, PrivateAttr

from nightdesk_sandbox.faults.base import ExchangeControls, Fault
from nightdesk_sandbox.update import Message, Update
from nightdesk_sandbox.venue import Refusals


class Drop(Fault):
    """Every websocket connection is closed at once, and new ones are refused."""

    name: Literal["drop"]
    refuses_connections: ClassVar[bool] = True

    async def begin(self, exchange: ExchangeControls) -> None:
        """Close what is open."""
        await exchange.close_streams()


class StreamSilence(Fault):
    """Connections stay open and answer, but no candle is sent; what was missed is never sent later."""

    name: Literal["silence"]

    def relay(self, update: Update) -> Sequence[Message]:
        """Send nothing."""
        return []


class Error500(Fault):
    """Every REST call is answered with HTTP 500."""

    name: Literal["error500"]

    def refusal(self, venue: Refusals, *, remaining_seconds: float, now: float) -> web.Response | None:
        """Answer with an error that explains nothing, as real ones do."""
        return web.Response(status=500, text="500: Internal Server Error")


class TooManyRequests(Fault):
    """Every REST call is one too many: HTTP 429, the venue's error, and headers that say when the next one is welcome.

    `limit` is the number of calls that are claimed to be allowed.
    """

    name: Literal["rate_limit"]
    limit: int = Field(50, ge=1)

    def refusal(self, venue: Refusals, *, remaining_seconds: float, now: float) -> web.Response | None:
        """Answer that it was too much, and name the fault's end."""
        return venue.too_many(now=now, limit=self.limit, reset_seconds=remaining_seconds)


_ANSWERS: Mapping[str, tuple[int, str, str]] = {
    "html": (200, "text/html", "<html><body>We will be back soon.</body></html>"),
    "html_502": (502, "text/html", "<html><h1>502 Bad Gateway</h1></html>"),
    "nothing": (200, "application/json", ""),
    "null": (200, "application/json", "null"),
    "list": (200, "application/json", "[]"),
    "number": (200, "application/json", "7"),
    "half": (200, "application/json", '{"retCode":0,"result":{"list":[["15'),
    "no_result": (200, "application/json", '{"retCode":0,"retMsg":"OK"}'),
    "empty_result": (200, "application/json", '{"retCode":0,"result":{}}'),
    "null_result": (200, "application/json", '{"retCode":0,"result":null,"time":1}'),
    "words": (200, "application/json", '{"retCode":0,"result":{"list":"none","timeNano":"soon"}}'),
    "error_code": (200, "application/json", '{"retCode":10016,"retMsg":"Server error","code":-1001,"msg":"internal"}'),
    "unknown_code": (400, "application/json", '{"retCode":987654,"retMsg":"?","code":-987654,"msg":"?"}'),
}


class WrongAnswer(Fault):
    """Every REST call is answered, and not with what was asked for: a page of HTML, JSON of another shape, an error.

    `kind` restricts the answers to one; `any` goes through all of them.
    """

    name: Literal["wrong_answer"]
    kind: str = Field("any", pattern=f"^(any|{'|'.join(_ANSWERS)})$")

    _count: int = PrivateAttr(0)

    def refusal(self, venue: Refusals, *, remaining_seconds: float, now: float) -> web.Response | None:
        """Answer with something else."""
        kinds = [*_ANSWERS] if self.kind == "any" else [self.kind]
        status, content_type, text = _ANSWERS[kinds[self._count % len(kinds)]]
        self._count += 1
        return web.Response(status=status, text=text, content_type=content_type)


class ClockOffset(Fault):
    """The exchange's clock is wrong by `offset_seconds` of market time, over REST and in the stamps of the stream.

    Candles keep their times: those are the market's, not the clock's.
    """

    name: Literal["clock_offset"]
    offset_seconds: float = Field(ge=-DAY_SECONDS, le=DAY_SECONDS, allow_inf_nan=False)

    def shown_time(self, now: float) -> float:
        """Return the wrong time."""
        return now + self.offset_seconds

    def relay(self, update: Update) -> Sequence[Message]:
        """Stamp the update with the wrong time."""
        return [replace(update, at=update.at + self.offset_seconds)]
