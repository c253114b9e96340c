"""The certificate with which the inbox takes mail over TLS: self-signed, made where there is none."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nightdesk_core.files.durable import write_atomic
from nightdesk_core.files.reader import InputError, read_bytes

from nightdesk_sandbox.errors import SandboxError

CERTIFICATE_FILE = "inbox-certificate.pem"
_KEY_FILE = "inbox-key.pem"
_VALID_DAYS = 3650
_NAMES = ("localhost", "nightdesk-inbox", "sandbox-inbox")
_ADDRESSES = ("127.0.0.1", "::1")


def tls_context(folder: Path) -> ssl.SSLContext:
    """Return a server's context with the certificate that lies in `folder`.

    One that is absent, damaged or about to end is made anew. A sender that is to trust it is given
    `folder / CERTIFICATE_FILE`. Raises `SandboxError` where it cannot be written.
    """
    certificate, key = folder / CERTIFICATE_FILE, folder / _KEY_FILE
    if not _is_good(certificate):
        _make(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        _make(certificate, key)
        context.load_cert_chain(certificate, key)
    return context


def _is_good(certificate: Path) -> bool:
    try:
        ends = x509.load_pem_x509_certificate(read_bytes(certificate)).not_valid_after_utc
    except (InputError, ValueError):
        return False
    return ends > datetime.now(UTC) + timedelta(days=1)


def _make(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nightdesk inbox")])
    alternatives = [x509.DNSName(host) for host in _NAMES]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_VALID_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([*alternatives, *(x509.IPAddress(ip_address(each)) for each in _ADDRESSES)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        write_atomic(key, secret, readers="owner")
        write_atomic(certificate, signed.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise SandboxError(f"{certificate} cannot be written ({error.strerror})") from error
