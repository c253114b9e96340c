"""What Alertmanager posts to a webhook, version 4 of its payload."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightdesk_sandbox.inbox.labels import Labels


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Alert(_Part):
    """One alert. Times are ISO 8601; `ends_at` of one that fires lies in the future, or in the year 1."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = Field("", alias="startsAt")
    ends_at: str = Field("", alias="endsAt")
    generator_url: str = Field("", alias="generatorURL")

    @property
    def name(self) -> str:
        """Its alertname."""
        return self.labels.get("alertname", "alert")

    @property
    def words(self) -> str:
        """Its summary and its description, a line each."""
        found = (self.annotations.get(name, "") for name in ("summary", "description"))
        return "\n".join(text for text in found if text)


class WebhookPayload(_Part):
    """One group of alerts."""

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    alerts: list[Alert] = Field(min_length=1)
    receiver: str = ""
    common_labels: dict[str, str] = Field({}, alias="commonLabels")
    truncated_alerts: int = Field(0, alias="truncatedAlerts")

    @property
    def title(self) -> str:
        """The title in the manner of Alertmanager's own templates."""
        firing = sum(alert.status == "firing" for alert in self.alerts)
        count = f":{firing}" if self.status == "firing" else ""
        name = self.common_labels.get("alertname") or f"{len(self.alerts)} alerts"
        bot = self.common_labels.get("bot")
        return f"[{self.status.upper()}{count}] {name}" + (f" ({bot})" if bot else "")

    @property
    def text(self) -> str:
        """All that a person reads: of each alert its name, its words and its labels."""
        parts = []
        for alert in self.alerts:
            labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()) if name != "alertname")
            parts.append("\n".join(part for part in (f"{alert.name} {alert.status}", alert.words, labels) if part))
        return "\n\n".join(parts)

    @property
    def labels(self) -> Labels:
        """What all its alerts have in common."""
        common = self.common_labels
        return {
            "alertname": common.get("alertname"),
            "severity": common.get("severity"),
            "status": self.status,
            "bot": common.get("bot"),
        }


def notification(payload: Any) -> WebhookPayload | None:
    """Return what Alertmanager says in a payload, None where the payload is not Alertmanager's."""
    try:
        return WebhookPayload.model_validate(payload)
    except ValidationError:
        return None
