"""`tls_server_config` of the web configuration file, as Python's TLS understands it."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightdesk_exporter.web.fields import Fields

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


@dataclass(frozen=True)
class Tls:
    """`context` is `None` where the section is empty; `files` are those that were read."""

    context: ssl.SSLContext | None
    allowed_sans: frozenset[str]
    files: tuple[Path, ...]


def read_tls(fields: Fields, *, folder: Path) -> Tls:
    """Return the section's context, its certificates loaded. What is wrong is noted in `fields`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _versions(fields, context)
    _ciphers(fields, context)
    with ExitStack() as stack:
        pem = {name: _pem(fields, name, folder=folder, stack=stack) for name in ("cert", "key", "client_ca")}
        _client_auth(fields, context, pem["client_ca"])
        sans = _allowed_sans(fields, context)
        if fields.given:
            _certificate(fields, context, pem["cert"], pem["key"])
    files = tuple(folder / name for key in pem if (name := fields.text(f"{key}_file")))
    return Tls(context if fields.given else None, sans, files)


def _pem(fields: Fields, name: str, *, folder: Path, stack: ExitStack) -> Path | None:
    """Return the file that holds a certificate or key; one that is written inline is put into a file for a moment."""
    inline, file = fields.text(name), fields.text(f"{name}_file")
    if inline and file:
        fields.wrong(name, f"is given as {name}_file, too; one of them is enough")
    if file:
        path = folder / file
        try:
            path.read_bytes()
        except OSError as error:
            fields.wrong(f"{name}_file", f"{path} cannot be read ({error.strerror})")
            return None
        return path
    if not inline:
        return None
    # In a folder that only its owner can enter. Python's TLS takes a key from nowhere else.
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / f"{name}.pem"
    path.write_text(inline)
    return path


def _certificate(fields: Fields, context: ssl.SSLContext, cert: Path | None, key: Path | None) -> None:
    for name, path in (("cert", cert), ("key", key)):
        if path is None and not fields.text(f"{name}_file"):
            fields.wrong(f"{name}_file", f"is missing: TLS needs it, or {name}")
    if cert is None or key is None:
        return
    where = "cert_file" if fields.text("cert_file") else "cert"
    try:
        # An empty password: a key that needs one must not stop the start to ask for it.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "a damaged file, or a key with a passphrase"
        fields.wrong(where, f"the certificate and its key cannot be used ({reason})")


def _client_auth(fields: Fields, context: ssl.SSLContext, client_ca: Path | None) -> None:
    policy = fields.text("client_auth_type")
    if policy in _UNVERIFIED:
        fields.wrong("client_auth_type", f"{policy} checks no certificate; use RequireAndVerifyClientCert")
    elif policy not in _CLIENT_AUTH:
        fields.wrong("client_auth_type", f"must be one of {', '.join(name for name in _CLIENT_AUTH if name)}")
    context.verify_mode = _CLIENT_AUTH.get(policy, ssl.CERT_NONE)
    has_ca = bool(fields.text("client_ca") or fields.text("client_ca_file"))
    if context.verify_mode is ssl.CERT_NONE:
        if has_ca and policy in _CLIENT_AUTH:
            fields.wrong("client_auth_type", "is missing: client_ca_file alone asks nobody for a certificate")
    elif not has_ca:
        fields.wrong("client_ca_file", f"is missing: {policy} needs it, or client_ca")
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            fields.wrong("client_ca_file", f"holds no certificate that can be used ({error.reason})")


def _allowed_sans(fields: Fields, context: ssl.SSLContext) -> frozenset[str]:
    sans = frozenset(fields.texts("client_allowed_sans"))
    if sans and context.verify_mode is not ssl.CERT_REQUIRED:
        fields.wrong("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
    return sans


def _versions(fields: Fields, context: ssl.SSLContext) -> None:
    chosen = {}
    for key, default in (("min_version", "TLS12"), ("max_version", "TLS13")):
        name = fields.text(key) or default
        if name not in _VERSIONS:
            fields.wrong(key, f"must be one of {', '.join(_VERSIONS)}")
        chosen[key] = _VERSIONS.get(name, _VERSIONS[default])
    if chosen["min_version"] > chosen["max_version"]:
        fields.wrong("max_version", "is below min_version")
        return
    context.minimum_version = chosen["min_version"]
    context.maximum_version = chosen["max_version"]


def _ciphers(fields: Fields, context: ssl.SSLContext) -> None:
    names = fields.texts("cipher_suites")
    unknown = [name for name in names if name not in _CIPHERS and name not in _TLS13_CIPHERS]
    if unknown:
        fields.wrong("cipher_suites", f"unknown: {', '.join(unknown)}")
    if chosen := [_CIPHERS[name] for name in names if name in _CIPHERS]:
        context.set_ciphers(":".join(chosen))
    if fields.boolean("prefer_server_cipher_suites"):
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    curves = fields.texts("curve_preferences")
    if len(curves) > 1 or any(curve not in _CURVES for curve in curves):
        fields.wrong("curve_preferences", f"must be one of {', '.join(_CURVES)}: Python takes no list of them")
    elif curves:
        context.set_ecdh_curve(_CURVES[curves[0]])


def has_allowed_san(certificate: Mapping[str, Any] | None, allowed: frozenset[str]) -> bool:
    """Return whether a client's verified certificate has one of the names, addresses or URIs."""
    names = (certificate or {}).get("subjectAltName", ())
    return any(value in allowed for _, value in names)
