"""What the guides show of a bot together with what it has already, and of who restarts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import requests
import yaml

from tests.examples.test_own_bot import wait_for_health

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "bot_in_your_server.py"


def test_the_guide_shows_it() -> None:
    assert f"```python\n{EXAMPLE.read_text()}```" in (CHECKOUT / "docs" / "own-bot.md").read_text()


def test_its_metrics_pages_and_log_are_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as bot:
        try:
            assert bot.stdout is not None
            url = bot.stdout.readline().strip()
            wait_for_health(url)
            metrics = requests.get(f"{url}/metrics", timeout=5).text
            assert "\nmy_orders_total " in metrics
            assert metrics.count("# HELP process_cpu_seconds_total") == 1
            bot.terminate()
            _, said = bot.communicate(timeout=20)
        finally:
            bot.kill()
    assert bot.returncode == 143
    assert "INFO:nightdesk:health: unknown to healthy" in said


def test_the_probes_of_the_kubernetes_example_ask_what_the_exporter_answers() -> None:
    [text] = re.findall(
        r"```yaml\n(apiVersion: apps/v1\n.*?)```", (CHECKOUT / "docs" / "exporter.md").read_text(), re.S
    )
    deployment = yaml.safe_load(text)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert [port["name"] for port in container["ports"]] == ["metrics"]
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
