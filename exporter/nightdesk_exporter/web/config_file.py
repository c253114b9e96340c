"""The web configuration file, in the format of Prometheus' exporter-toolkit. Loaded only where there is one.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from nightdesk_core.files.reader import InputError
from nightdesk_core.files.yaml_text import read_yaml
from pydantic import AfterValidator, Field, StrictBool, StrictInt, ValidationError, ValidationInfo, field_validator

from nightdesk_exporter.errors import WebConfigError
from nightdesk_exporter.web.config import WebConfig
from nightdesk_exporter.web.config_fields import Section, Text, one_of, problems_of
from nightdesk_exporter.web.rate import DEFAULT_RATE, Rate
from nightdesk_exporter.web.tls import TlsSection, read_tls

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _line(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("must be one line of ASCII")
    return value


def _user(name: str) -> str:
    if not name or ":" in name:
        raise ValueError("cannot be a user's name: it is empty or holds a colon")
    return name


def _bcrypt_hash(value: str) -> str:
    if not _BCRYPT.fullmatch(value):
        raise ValueError("is no bcrypt hash (htpasswd -nBC 10 '' makes one)")
    return value


def _duration(value: str) -> str:
    parts = _DURATION.findall(value)
    if value != "0" and (not parts or "".join(number + unit for number, unit in parts) != value):
        raise ValueError("must be a duration such as 100ms or 1s; 0 is no limit")
    return value


def _seconds(duration: str) -> float:
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(duration))


_Line = Annotated[Text, AfterValidator(_line)]


class HeadersSection(Section):
    """The headers that the format allows, in the order in which they are sent. An empty one is none."""

    strict_transport_security: _Line = Field("", alias="Strict-Transport-Security")
    content_type_options: Annotated[_Line, one_of("nosniff")] = Field("", alias="X-Content-Type-Options")
    frame_options: Annotated[_Line, one_of("deny", "sameorigin")] = Field("", alias="X-Frame-Options")
    xss_protection: _Line = Field("", alias="X-XSS-Protection")
    content_security_policy: _Line = Field("", alias="Content-Security-Policy")


class HttpSection(Section):
    """With TLS the toolkit offers HTTP/2; it is not spoken here, and no client needs it."""

    http2: StrictBool = True
    headers: HeadersSection = HeadersSection()


class RateSection(Section):
    """`burst` requests on a connection at once, and one more every `interval`."""

    interval: Annotated[Text, AfterValidator(_duration)]
    burst: StrictInt = 0

    @field_validator("burst")
    @classmethod
    def _somebody_is_answered(cls, burst: int, info: ValidationInfo) -> int:
        if burst < 1 and _seconds(info.data.get("interval", "0")) > 0:
            raise ValueError("must be at least 1: otherwise nobody is answered")
        return burst


_User = Annotated[str, AfterValidator(_user)]
_Hash = Annotated[Text, AfterValidator(_bcrypt_hash)]


class WebConfigFile(Section):
    """The whole file."""

    tls_server_config: TlsSection = TlsSection()
    http_server_config: HttpSection = HttpSection()
    basic_auth_users: dict[_User, _Hash] = Field({}, repr=False)
    rate_limit: RateSection | None = None

    @field_validator("basic_auth_users")
    @classmethod
    def _can_be_checked(cls, users: dict[str, str]) -> dict[str, str]:
        if users:
            try:
                import bcrypt  # noqa: F401 - used where passwords are compared; missing, it is to be found now
            except ImportError:
                raise ValueError("needs the package bcrypt: pip install 'nightdesk[web]'") from None
        return users


def read_web_config(path: Path | str) -> WebConfig:
    """Return what the file says, its certificates loaded; relative paths in it are beside it.

    Raises `WebConfigError` with every problem and its key.
    """
    path = Path(path)
    document = _document(path)
    try:
        file = WebConfigFile.model_validate(document)
    except ValidationError as error:
        problems = [*problems_of(error), *_tls_problems(document, folder=path.parent)]
        raise WebConfigError(path, problems) from None
    tls = read_tls(file.tls_server_config, folder=path.parent)
    if tls.problems:
        raise WebConfigError(path, tls.problems)
    headers = file.http_server_config.headers.model_dump(by_alias=True)
    rate = file.rate_limit
    return WebConfig(
        tls=tls.context,
        allowed_sans=tls.allowed_sans,
        users=file.basic_auth_users,
        headers=tuple((name, value) for name, value in headers.items() if value),
        rate=DEFAULT_RATE if rate is None else Rate(_seconds(rate.interval), rate.burst),
        files=tls.files,
        asks_for_certificates=tls.context is not None and tls.context.verify_mode is ssl.CERT_REQUIRED,
    )


def _tls_problems(document: Mapping[Any, Any], *, folder: Path) -> Sequence[str]:
    """Return what is wrong with the certificates of a file that something else is wrong with, too."""
    try:
        section = TlsSection.model_validate(document.get("tls_server_config") or {})
    except ValidationError:
        return ()  # told already
    return read_tls(section, folder=folder).problems


def _document(path: Path) -> Mapping[Any, Any]:
    try:
        document = read_yaml(path)
    except InputError as error:
        raise WebConfigError(path, [error.reason]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise WebConfigError(path, ["must hold keys and values at its top level"])
    return document
