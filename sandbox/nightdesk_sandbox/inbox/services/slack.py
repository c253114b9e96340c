"""Slack: incoming webhooks, their answers and their limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from nightdesk_sandbox.inbox import slack_message
from nightdesk_sandbox.inbox.limits import Allowance, Standing
from nightdesk_sandbox.inbox.service import Endpoint, Refusal, Service, form_fields

_TEAM, _HOOK = re.compile(r"T[A-Z0-9]+"), re.compile(r"B[A-Z0-9]+")


def _refusal(status: int, word: str) -> dict[str, Refusal]:
    return {word: Refusal(status, word)}


class Slack(Service):
    """Takes `POST /services/T…/B…/<token>`, as JSON or as a form with a `payload`, and answers in single words."""

    channel = "slack"
    title = "Slack"
    # One a second, short bursts allowed: counted over ten seconds.
    allowances = (Allowance(10, 10),)
    refusals: ClassVar[Mapping[str, Refusal]] = {
        **_refusal(400, "invalid_payload"),
        **_refusal(400, "user_not_found"),
        **_refusal(403, "action_prohibited"),
        **_refusal(403, "posting_to_general_channel_denied"),
        **_refusal(403, "invalid_token"),
        **_refusal(403, "team_disabled"),
        **_refusal(404, "channel_not_found"),
        **_refusal(404, "no_service"),
        **_refusal(404, "no_team"),
        **_refusal(410, "channel_is_archived"),
        **_refusal(500, "rollup_error"),
    }

    def endpoints(self) -> list[Endpoint]:
        """Return the webhook."""
        return [Endpoint("POST", "/services/{tail:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Take a message as Slack does: `ok`, or 400 and the reason in a word."""
        team, hook, token = [*request.match_info["tail"].split("/"), "", ""][:3]
        if not _TEAM.fullmatch(team):
            return self.refused(self.refusals["no_team"])
        if not _HOOK.fullmatch(hook) or not token:
            return self.refused(self.refusals["no_service"])
        self.count(hook)
        try:
            message, raw = slack_message.parse(await _payload(request))
        except slack_message.SlackRefusalError as refusal:
            return self.refused(Refusal(400, refusal.reason))
        self.inbox.add(self.channel, title=message.title, text=message.body, raw=raw, to=message.channel or hook)
        return web.Response(text="ok", content_type="text/html")

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the reason, bare."""
        return web.Response(text=refusal.text, status=refusal.status, content_type="text/html")

    def rate_limited(self, standing: Standing, *, path: str) -> web.Response:
        """Return Slack's word, and the header that says when to come back."""
        seconds = str(math.ceil(standing.wait_seconds))
        return web.Response(text="rate_limited", status=429, content_type="text/html", headers={"Retry-After": seconds})

    def broken(self, status: int) -> web.Response:
        """Return what Slack says where it is not the sender's fault."""
        return self.refused(Refusal(status, "rollup_error"))


async def _payload(request: web.Request) -> bytes:
    if request.content_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return await request.read()
    return (await form_fields(request)).get("payload", "").encode()


SERVICE = Slack
