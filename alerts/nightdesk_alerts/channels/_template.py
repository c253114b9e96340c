"""A channel to begin a new one from: a service that takes a POST of JSON with a title and a text.

A channel is four files written by hand. Everything else follows from the first: the settings and their reference,
`Alerting`, `nightdesk check`, what is hidden in logs, Alertmanager's receivers, Compose's secrets, `docs/alerts.md`.

1. Copy this file to `<name>.py` beside it; the class becomes `<Name>Channel`. That registers it: a module in here
   is a channel, unless its name begins with an underscore. Put in its name, its title, how a person comes by one, and
   its role beside the others.
2. Write the fields: one for each setting, in the order of the reference. What there is no channel without has no
   default; all of those must be set, or none. A secret has a `Secret` and `repr=False`. The key under
   `operations.alerts` begins with the service's name.
3. Write `deliver`: the words are those of `wording`, which are Alertmanager's too. Escape what the service would take
   for markup, a link or a mention. What delivers (a client library) is imported inside the method. `judge` says what an
   answer means; give it the service's own words only through `without_secrets`. Where the service has chats by number
   that can be asked for, and that may move, it is a `ChatChannel`; `telegram.py` is one.
4. Write `problems`: what of the settings can be seen to be wrong without asking anybody.
5. Write `receiver`, one entry of Alertmanager's own configuration for such a service (or of `webhook_configs`), and its
   text in `alertmanager/templates/<name>.tmpl`: the same words as in `deliver`, for ten alerts at most, each cut so
   that the whole stays within the service's limit. What only the settings know is put in by `receiver_values`.
6. Write the service's stand-in, `sandbox/nightdesk_sandbox/inbox/services/<name>.py`, with its limits, its refusals and
   its words for them, from its documentation. Write `in_sandbox` where the demo without a channel is to write to it.
7. Write `tests/alerts/test_<name>.py`: the words of template and `deliver` are the same; a message arrives in
   the stand-in both ways; what the service refuses is refused; no secret shows.
8. `make docs` writes what follows into the files that are checked in; `make test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nightdesk_alerts import wording
from nightdesk_alerts.addresses import url_problems, without_secrets
from nightdesk_alerts.channel import Channel, Role, Secret, setting
from nightdesk_alerts.delivery.web_response import judge

if TYPE_CHECKING:
    from nightdesk_alerts.alert import Notification
    from nightdesk_alerts.delivery.outcome import DeliveryOutcome
    from nightdesk_alerts.delivery.web import Web


@dataclass(frozen=True, kw_only=True)
class TemplateChannel(Channel):
    """A room of the service, by its webhook."""

    name = "template"
    title = "Template"
    how = "the room's settings → Webhooks → New; copy the URL"
    role = Role.CHAT
    receiver_kind = "webhook_configs"
    receiver = """\
url_file: secrets/template_url
max_alerts: 10
send_resolved: true
"""

    webhook_url: str = field(
        repr=False,
        metadata=setting(
            "template_webhook_url",
            "A webhook of the service; empty means none.",
            secret=Secret("template_url", "the service's URL"),
        ),
    )
    most_alerts: int = field(
        default=10,
        metadata=setting("template_most_alerts", "How many alerts one message has.", least=1, most=50),
    )

    def deliver(self, notification: Notification, web: Web) -> DeliveryOutcome:
        """Post to the webhook. Raises `WebError` where there is no answer."""
        lines = [
            wording.summary(notification),
            wording.whom(notification),
            wording.description(notification),
            wording.runbook(notification),
        ]
        payload = {"title": wording.title(notification), "text": "\n".join(line for line in lines if line)}
        answer = web.post(self.webhook_url, payload)
        said = answer.json()
        words = without_secrets(said.get("error"), self.webhook_url) if isinstance(said, dict) else ""
        return judge(answer, wall=notification.at, words=words)

    def problems(self) -> Iterator[str]:
        """Yield whether the webhook is no address."""
        return url_problems("template_webhook_url", self.webhook_url)

    def receiver_values(self) -> dict[str, Any]:
        """Return how many alerts one message has."""
        return {"max_alerts": self.most_alerts}


CHANNEL = TemplateChannel
