"""`tls_server_config` of the web configuration file, as Python's TLS understands it. Loaded only where there is one."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nightdesk_core.files.reader import InputError, read_bytes
from pydantic import AfterValidator, StrictBool

from nightdesk_exporter.web.config_fields import Section, Text

# The format's TLS10 and TLS11 are broken, and OpenSSL does not speak them as it is shipped today.
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("RSA", "ECDSA")
    for go, openssl in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Of these all are offered whatever is listed, in Go and in Python alike."""
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


def _version(name: str) -> str:
    if name not in _VERSIONS:
        raise ValueError(f"must be one of {', '.join(_VERSIONS)}")
    return name


def _client_auth_type(policy: str) -> str:
    if policy in _UNVERIFIED:
        raise ValueError(f"{policy} checks no certificate; use RequireAndVerifyClientCert")
    if policy not in _CLIENT_AUTH:
        raise ValueError(f"must be one of {', '.join(name for name in _CLIENT_AUTH if name)}")
    return policy


def _cipher_suites(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in _CIPHERS and name not in _TLS13_CIPHERS]:
        raise ValueError(f"unknown: {', '.join(unknown)}")
    return names


def _curves(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > 1 or any(name not in _CURVES for name in names):
        raise ValueError(f"must be one of {', '.join(_CURVES)}: Python takes no list of them")
    return names


class TlsSection(Section):
    """The section, each key by itself. Where nothing is given there is no TLS."""

    cert: Text = ""
    cert_file: Text = ""
    key: Text = ""
    key_file: Text = ""
    client_ca: Text = ""
    client_ca_file: Text = ""
    client_auth_type: Annotated[Text, AfterValidator(_client_auth_type)] = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Annotated[Text, AfterValidator(_version)] = "TLS12"
    max_version: Annotated[Text, AfterValidator(_version)] = "TLS13"
    cipher_suites: Annotated[tuple[str, ...], AfterValidator(_cipher_suites)] = ()
    prefer_server_cipher_suites: StrictBool = True
    curve_preferences: Annotated[tuple[str, ...], AfterValidator(_curves)] = ()


@dataclass(frozen=True)
class Tls:
    """`context` is `None` where the section is empty; `files` are those that were read."""

    context: ssl.SSLContext | None
    allowed_sans: frozenset[str]
    files: tuple[Path, ...]
    problems: tuple[str, ...]
    """A line for each thing wrong, with the path of its key."""


Wrong = Callable[[str, str], None]
"""Is told a key of the section, and what is wrong with it."""


def read_tls(section: TlsSection, *, folder: Path) -> Tls:
    """Return the section's context, its certificates loaded, and what is wrong with keys together or with files."""
    problems: list[str] = []

    def wrong(key: str, what: str) -> None:
        problems.append(f"tls_server_config.{key}: {what}")

    if not section.model_fields_set:
        return Tls(None, frozenset(), (), ())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _limit_versions(section, context, wrong)
    _choose_ciphers(section, context)
    with ExitStack() as stack:
        pem = {
            name: _pem(getattr(section, name), getattr(section, f"{name}_file"), name, folder, stack, wrong)
            for name in ("cert", "key", "client_ca")
        }
        _verify_clients(section, context, pem["client_ca"], wrong)
        _load_certificate(section, context, pem["cert"], pem["key"], wrong)
    files = tuple(folder / name for name in (section.cert_file, section.key_file, section.client_ca_file) if name)
    return Tls(context, frozenset(section.client_allowed_sans), files, tuple(problems))


def _pem(inline: str, file: str, name: str, folder: Path, stack: ExitStack, wrong: Wrong) -> Path | None:
    """Return the file that holds a certificate or key; one that is written inline is put into a file for a moment."""
    if inline and file:
        wrong(name, f"is given as {name}_file, too; one of them is enough")
    if file:
        path = folder / file
        try:
            read_bytes(path)
        except InputError as error:
            wrong(f"{name}_file", f"{path} {error.reason}")
            return None
        return path
    if not inline:
        return None
    # In a folder that only its owner can enter. Python's TLS takes a key from nowhere else.
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / f"{name}.pem"
    path.write_text(inline)
    return path


def _load_certificate(
    section: TlsSection, context: ssl.SSLContext, cert: Path | None, key: Path | None, wrong: Wrong
) -> None:
    for name, path, file in (("cert", cert, section.cert_file), ("key", key, section.key_file)):
        if path is None and not file:
            wrong(f"{name}_file", f"is missing: TLS needs it, or {name}")
    if cert is None or key is None:
        return
    try:
        # An empty password: a key that needs one must not stop the start to ask for it.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "a damaged file, or a key with a passphrase"
        wrong("cert_file" if section.cert_file else "cert", f"the certificate and its key cannot be used ({reason})")


def _verify_clients(section: TlsSection, context: ssl.SSLContext, client_ca: Path | None, wrong: Wrong) -> None:
    policy = section.client_auth_type
    context.verify_mode = _CLIENT_AUTH[policy]
    has_ca = bool(section.client_ca or section.client_ca_file)
    if context.verify_mode is ssl.CERT_NONE:
        if has_ca:
            wrong("client_auth_type", "is missing: client_ca_file alone asks nobody for a certificate")
    elif not has_ca:
        wrong("client_ca_file", f"is missing: {policy} needs it, or client_ca")
    if section.client_allowed_sans and context.verify_mode is not ssl.CERT_REQUIRED:
        wrong("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            wrong("client_ca_file", f"holds no certificate that can be used ({error.reason})")


def _limit_versions(section: TlsSection, context: ssl.SSLContext, wrong: Wrong) -> None:
    least, most = _VERSIONS[section.min_version], _VERSIONS[section.max_version]
    if least > most:
        wrong("max_version", "is below min_version")
        return
    context.minimum_version = least
    context.maximum_version = most


def _choose_ciphers(section: TlsSection, context: ssl.SSLContext) -> None:
    if chosen := [_CIPHERS[name] for name in section.cipher_suites if name in _CIPHERS]:
        context.set_ciphers(":".join(chosen))
    if section.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for curve in section.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])
