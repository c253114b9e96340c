"""The inbox over HTTP: the services that it stands in for, its JSON interface, its controls and its page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from aiohttp import web

from nightdesk_sandbox.inbox.api import Api
from nightdesk_sandbox.inbox.control import InboxControl
from nightdesk_sandbox.inbox.faults import InboxFaults
from nightdesk_sandbox.inbox.limits import MessageLimits
from nightdesk_sandbox.inbox.message import MAIL
from nightdesk_sandbox.inbox.page import InboxPage
from nightdesk_sandbox.inbox.service import Gate
from nightdesk_sandbox.inbox.services import known_services
from nightdesk_sandbox.inbox.settings import InboxSettings
from nightdesk_sandbox.inbox.smtp import REFUSALS
from nightdesk_sandbox.inbox.store import Inbox


def inbox_application(inbox: Inbox, faults: InboxFaults, settings: InboxSettings) -> web.Application:
    """Return the inbox's routes. Whoever still waits for a message is let go when the application shuts down."""
    limits = MessageLimits(clock=time.monotonic) if settings.real_limits else None
    services = [kind(inbox, limits) for kind in known_services()]
    reasons: Mapping[str, list[str]] = {
        **{service.channel: list(service.refusals) for service in services},
        MAIL: list(REFUSALS),
    }
    closing = asyncio.Event()
    gate = Gate(faults)
    application = web.Application()
    application.add_routes([web.get("/healthz", _health)])
    application.add_routes(Api(inbox, closing=closing).routes())
    application.add_routes(InboxControl(inbox, faults, reasons=reasons).routes())
    application.add_routes(InboxPage(inbox, faults, closing=closing).routes())
    for service in services:
        application.add_routes(gate.routes(service))

    async def let_go(_application: web.Application) -> None:
        closing.set()
        faults.clear()
        inbox.changed.notify()

    application.on_shutdown.append(let_go)
    return application


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
