"""What importing the exporter loads, and what only serving, a page, a web configuration file or a password does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exporter.conftest import HASH

DEPENDENCIES = "import prometheus_client, loguru"
IMPORT = "from nightdesk_exporter import BotExporter"
SERVE = """
from nightdesk_exporter import BotExporter
with BotExporter("btc", symbols=[("BTC/USDT", "1h")], port=0{options}) as exporter:
    {inside}
"""
ALERT_DELIVERY = {"requests", "smtplib"}
CONFIGURATION = {"pydantic", "yaml", "nightdesk_core.settings", "nightdesk_exporter.web.config_file"}
SERVER = {"h11", "nightdesk_exporter.server", "nightdesk_exporter.web"}
PAGE = {"nightdesk_exporter.page"}
PASSWORDS = {"bcrypt"}
UNWANTED = {"urllib3", "numpy", "sqlite3", "importlib.metadata"}
LATER = ALERT_DELIVERY | CONFIGURATION | SERVER | PAGE | PASSWORDS | UNWANTED


def loaded(code: str) -> set[str]:
    """Return the modules that a fresh process has loaded once it has run this code."""
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def serving(*, inside: str = "pass", options: str = "") -> set[str]:
    return loaded(SERVE.format(inside=inside, options=options))


@pytest.fixture(scope="module")
def of_dependencies() -> set[str]:
    """The Prometheus client brings an HTTP server, TLS and e-mail itself."""
    return loaded(DEPENDENCIES)


def test_the_package_by_itself_loads_nothing_at_all() -> None:
    found = loaded("import nightdesk_exporter")
    assert not found & {"prometheus_client", "loguru", "http", "ssl", "email", "asyncio", "dataclasses", *LATER}


def test_who_wants_the_status_file_loads_neither_the_prometheus_client_nor_a_server() -> None:
    found = loaded("from nightdesk_exporter import StatusFile")
    assert not found & {"prometheus_client", "loguru", "http", "ssl", "asyncio", *LATER}


@pytest.mark.parametrize("code", [IMPORT, "import nightdesk_exporter; nightdesk_exporter.BotExporter"])
def test_importing_the_exporter_loads_its_dependencies_and_nothing_of_what_serves(
    code: str, of_dependencies: set[str]
) -> None:
    found = loaded(code)
    assert not found & LATER
    others = {name.partition(".")[0] for name in found - of_dependencies} - set(sys.stdlib_module_names)
    assert others == {"nightdesk_core", "nightdesk_alerts", "nightdesk_exporter"}


def test_serving_loads_h11_and_the_server_and_no_page_no_password_and_no_configuration(
    of_dependencies: set[str],
) -> None:
    found = serving()
    assert found >= SERVER
    assert not found & (ALERT_DELIVERY | CONFIGURATION | PAGE | PASSWORDS)
    others = {name.partition(".")[0] for name in found - of_dependencies} - set(sys.stdlib_module_names)
    assert others == {"h11", "nightdesk_core", "nightdesk_alerts", "nightdesk_exporter"}


def test_the_page_is_loaded_for_the_first_who_looks_at_it() -> None:
    found = serving(inside="import urllib.request; urllib.request.urlopen(exporter.url).read()")
    assert found >= PAGE


def test_pydantic_is_loaded_for_a_web_configuration_file_and_bcrypt_for_its_users(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    options = f", web_config_file=__import__('pathlib').Path({str(file)!r})"
    file.write_text("http_server_config: {http2: false}\n")
    found = serving(options=options)
    assert found >= CONFIGURATION
    assert not found & PASSWORDS
    file.write_text(f"basic_auth_users: {{prometheus: {HASH!r}}}\n")
    assert serving(options=options) >= PASSWORDS


def test_logs_and_alerts_can_be_imported_from_here() -> None:
    assert loaded("import nightdesk_exporter.logs, nightdesk_exporter.alerts") >= {"nightdesk_alerts"}
