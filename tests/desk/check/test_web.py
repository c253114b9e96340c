"""The exporter's web configuration file, as the desk sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from nightdesk.check.result import SetupError
from nightdesk.check.web import check_web_config
from nightdesk.render.configuration import render
from nightdesk.settings import Settings, load
from nightdesk_exporter.errors import WebConfigError

HASH = "$2b$04$" + "a" * 53
USER = {"username": "prometheus", "password_file": "password"}


def written(folder: Path, web: str, scrape: dict[str, str]) -> Settings:
    (folder / "home").mkdir()
    (folder / "home" / "web.yml").write_text(web)
    (folder / "home" / "password").write_text("secret")
    file = folder / "nightdesk.yml"
    file.write_text(yaml.safe_dump({"home": "home", "bot": {"web_config_file": "web.yml", "scrape": scrape}}))
    return load(file)


def test_none_is_in_order() -> None:
    assert check_web_config(Settings()) == "none: no TLS, no password"


def test_one_that_fits_is_in_order_and_scraped_by(tmp_path: Path) -> None:
    settings = written(tmp_path, f"basic_auth_users: {{prometheus: {HASH!r}}}", USER)
    assert check_web_config(settings) == "no TLS, 1 users"
    text = render(settings, out=tmp_path / "out").prometheus_config.read_text()
    (job,) = (job for job in yaml.safe_load(text)["scrape_configs"] if job["job_name"] == "tradebot")
    assert job["basic_auth"] == {"username": "prometheus", "password_file": str(tmp_path / "home" / "password")}
    assert "secret" not in text


def test_a_broken_one_is_found(tmp_path: Path) -> None:
    with pytest.raises(WebConfigError, match="tls_sever_config: is not a key that exists here"):
        check_web_config(written(tmp_path, "tls_sever_config: {}", {}))


@pytest.mark.parametrize(
    ("scrape", "trouble"),
    [
        ({}, "bot.scrape.username is none of the web configuration file's basic_auth_users"),
        ({**USER, "scheme": "https"}, "bot.scrape.scheme must be http, as the web configuration file has it"),
    ],
)
def test_a_scrape_that_does_not_fit_is_found(tmp_path: Path, scrape: dict[str, str], trouble: str) -> None:
    with pytest.raises(SetupError) as raised:
        check_web_config(written(tmp_path, f"basic_auth_users: {{prometheus: {HASH!r}}}", scrape))
    assert str(raised.value) == trouble
