from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nightdesk.stack.tools import Tools

TEMPLATES = Path(__file__).resolve().parents[2] / "alertmanager" / "templates" / "*.tmpl"


def alert(
    bot: str, *, status: str = "firing", description: str = "Bot did not answer.", **labels: str
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "TradebotDown", "severity": "critical", "bot": bot, **labels},
        "annotations": {
            "summary": "The bot does not answer.",
            "description": description,
            "runbook_url": "prometheus/runbooks/TradebotDown.md",
        },
        "startsAt": "2026-01-02T03:04:05Z",
        "endsAt": "2026-01-02T04:00:00Z",
    }


def rendered(tools: Tools, folder: Path, template: str, *alerts: dict[str, Any], kind: str = "text") -> str:
    firing = any(one["status"] == "firing" for one in alerts)
    first = alerts[0]

    def common(part: str) -> dict[str, str]:
        return {key: value for key, value in first[part].items() if all(one[part].get(key) == value for one in alerts)}

    data = {
        "status": "firing" if firing else "resolved",
        "alerts": alerts,
        "commonLabels": common("labels"),
        "commonAnnotations": common("annotations"),
        "groupLabels": {},
    }
    file = folder / "data.json"
    file.write_text(json.dumps(data))
    command = [str(tools.amtool), "template", "render", f"--template.glob={TEMPLATES}", f"--template.data={file}"]
    text = f'--template.text={{{{ template "nightdesk.{template}" . }}}}'
    done = subprocess.run([*command, text, f"--template.type={kind}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_title_says_how_bad_what_and_which_bot(tools: Tools, tmp_path: Path) -> None:
    assert rendered(tools, tmp_path, "title", alert("btc")) == "CRITICAL: TradebotDown (btc)"
    assert rendered(tools, tmp_path, "title", alert("btc"), alert("eth")) == "CRITICAL: TradebotDown, 2 alerts"
    assert rendered(tools, tmp_path, "title", alert("btc", status="resolved")) == "Resolved: TradebotDown (btc)"
    assert rendered(tools, tmp_path, "title", alert("btc", severity="warning")) == "Warning: TradebotDown (btc)"
    assert rendered(tools, tmp_path, "title", alert("btc", severity="info")) == "Info: TradebotDown (btc)"


def test_a_discord_message_holds_summary_numbers_and_runbook(tools: Tools, tmp_path: Path) -> None:
    assert rendered(tools, tmp_path, "discord.message", alert("btc", symbol="BTC/USDT")) == (
        "**The bot does not answer.** critical, btc, BTC/USDT\n"
        "Bot did not answer.\n"
        "What to do: prometheus/runbooks/TradebotDown.md"
    )


def test_a_discord_message_says_what_has_resolved(tools: Tools, tmp_path: Path) -> None:
    both = rendered(tools, tmp_path, "discord.message", alert("btc"), alert("eth", status="resolved"))
    assert both == (
        "**The bot does not answer.** critical, btc\nBot did not answer.\nResolved: 1\n"
        "What to do: prometheus/runbooks/TradebotDown.md"
    )
    assert rendered(tools, tmp_path, "discord.message", alert("eth", status="resolved")).startswith(
        "**The bot does not answer.** critical, eth\n"
    )


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_fleet_is_ten_alerts_and_a_count_within_discords_limits(tools: Tools, tmp_path: Path, status: str) -> None:
    fleet = [
        alert(f"{number:02}-" + "b" * 60, status=status, description="ü" * 900, symbol="S" * 20, timeframe="15m")
        for number in range(25)
    ]
    message = rendered(tools, tmp_path, "discord.message", *fleet)
    assert message.count("**The bot does not answer.**") == 10
    assert "+15 more\n" in message
    assert "09-bbb" in message
    assert "10-bbb" not in message
    assert len(message) <= 4096
    assert "�" not in message
    assert len(rendered(tools, tmp_path, "title", *fleet)) <= 256
    assert len(rendered(tools, tmp_path, "title", fleet[0])) <= 256


def test_a_mail_holds_everything_as_text_and_as_escaped_html(tools: Tools, tmp_path: Path) -> None:
    alerts = alert("btc", description="5 < 6 & so on"), alert("eth", status="resolved")
    assert rendered(tools, tmp_path, "email.text", *alerts) == (
        "Firing\n------\n"
        "The bot does not answer.\n5 < 6 & so on\n"
        "  alertname: TradebotDown\n  bot: btc\n  severity: critical\n"
        "  since: 2026-01-02 03:04:05 UTC\n"
        "  what to do: prometheus/runbooks/TradebotDown.md\n\n"
        "Resolved\n--------\n"
        "The bot does not answer.\nBot did not answer.\n"
        "  alertname: TradebotDown\n  bot: eth\n  severity: critical\n"
        "  since: 2026-01-02 03:04:05 UTC\n  until: 2026-01-02 04:00:00 UTC\n"
        "  what to do: prometheus/runbooks/TradebotDown.md\n\n"
    )
    html = rendered(tools, tmp_path, "email.html", *alerts, kind="html")
    assert html.startswith("<!doctype html>")
    assert "<p>5 &lt; 6 &amp; so on</p>" in html
    assert html.count("<h3>The bot does not answer.</h3>") == 2
    assert html.rstrip().endswith("</html>")


HOSTILE = "a\nb\x1b]0;c\u202e<!here> @everyone [d](http://e) & \x00"


@pytest.mark.parametrize("template", ["slack.title", "slack.message", "discord.title", "discord.message", "email.text"])
@pytest.mark.parametrize("where", ["severity", "bot", "symbol", "alertname", "summary", "runbook_url"])
def test_what_is_obeyed_and_not_seen_gets_through_nowhere(
    template: str, where: str, tools: Tools, tmp_path: Path
) -> None:
    plain, hostile = alert("btc", symbol="BTC/USDT"), alert("btc", symbol="BTC/USDT")
    hostile["labels" if where in ("severity", "bot", "symbol", "alertname") else "annotations"][where] = HOSTILE
    found = rendered(tools, tmp_path, template, hostile)
    assert not set(found) & {"\x1b", "\x00", "\u202e"}
    if template != "email.text":
        lines = rendered(tools, tmp_path, template, plain).count("\n")
        assert found.count("\n") == lines
    if template.startswith("slack"):
        assert "<" not in found
    if template.startswith("discord"):
        assert not {"<", "@", "["} & set(found.replace("\\<", "").replace("\\@", "").replace("\\[", ""))
