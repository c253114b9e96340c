"""The machine's own passwords: by them its programs reach its servers, and nobody else does. No browser ever holds one.

Each lies in a file of its own that only its owner can read. A page in somebody's browser cannot send what the browser
does not know, and another user of the machine cannot read it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

from nightdesk_core.files.durable import locked, write_atomic
from nightdesk_core.files.permissions import make_folder
from nightdesk_core.files.reader import InputError, MissingInputError, read_text
from nightdesk_core.settings import SettingsError

from nightdesk.settings import Settings

USER = "nightdesk"
"""The one user that the servers know."""

Guarded = Literal["prometheus", "alertmanager", "pushgateway", "pages", "grafana"]
GUARDED: tuple[Guarded, ...] = get_args(Guarded)
WITH_WEB_CONFIG: tuple[Guarded, ...] = ("prometheus", "alertmanager", "pushgateway")
"""The servers that take a web configuration file of Prometheus' exporter-toolkit."""

_BYTES = 32
_LONGEST_BYTES = 72
"""bcrypt looks at no more."""
_LARGEST_FILE_BYTES = 4096
_LOCK_SECONDS = 10.0
_COST = 10
"""Of a hash: 2 to this power rounds, 50 ms. The servers remember what they have once compared."""
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SALT_CHARACTERS = 21


def password_file(settings: Settings, server: Guarded) -> Path:
    """Return where a server's password lies."""
    return settings.path(settings.stack.passwords_dir).absolute() / f"{server}_password"


def password(settings: Settings, server: Guarded) -> str | None:
    """Return a server's password, `None` where none was made yet. Raises `SettingsError` where it cannot be read."""
    file = password_file(settings, server)
    try:
        return read_text(file, largest=_LARGEST_FILE_BYTES).strip()
    except MissingInputError:
        return None
    except InputError as error:
        raise _refusal(file, error.reason) from error


def login(settings: Settings, server: Guarded) -> tuple[str, str] | None:
    """Return name and password for a server, as `requests` takes them; `None` where there is no password yet."""
    found = password(settings, server)
    return (USER, found) if found else None


def authorization(settings: Settings, server: Guarded) -> dict[str, str]:
    """Return the header by which a server lets us in; none where there is no password yet."""
    found = login(settings, server)
    return {"Authorization": f"Basic {base64.b64encode(':'.join(found).encode()).decode()}"} if found else {}


def url_with_login(settings: Settings, server: Guarded) -> str:
    """Return a server's address with name and password in it, for what takes nothing else. It is a secret."""
    found = login(settings, server)
    access = "" if found is None else f"{found[0]}:{quote(found[1], safe='')}@"
    return f"http://{access}{settings.address(server)}"


def ensure_password(settings: Settings, server: Guarded) -> str:
    """Return a server's password, made now where there was none.

    Raises `SettingsError` where it is empty or too long, or cannot be read or made.
    """
    file, found = password_file(settings, server), password(settings, server)
    if found is None:
        try:
            make_folder(file.parent, readers="owner")
            # Two that start at once must not make two passwords for one server.
            with locked(file.parent / "lock", timeout_seconds=_LOCK_SECONDS):
                found = password(settings, server)
                if found is None:
                    found = secrets.token_urlsafe(_BYTES)
                    write_atomic(file, found.encode(), readers="owner")
        except OSError as error:
            raise _refusal(file, f"cannot be made ({error.strerror}): openssl rand -hex 32 > {file}") from error
    if not found or len(found.encode()) > _LONGEST_BYTES:
        raise _refusal(file, f"is empty or longer than {_LONGEST_BYTES} bytes; remove it, and a new one is made")
    return found


def hashed(text: str) -> str:
    """Return a password's bcrypt hash, as the servers' web configuration takes it; of one password always the same.

    The salt comes from the password: what is random for itself needs none, and what is rendered twice stays as it was.
    """
    import bcrypt  # loads a library that only who renders needs

    digest = hashlib.sha256(f"salt of {text}".encode()).digest()
    salt = "".join(_BCRYPT_ALPHABET[byte % 64] for byte in digest[:_SALT_CHARACTERS])
    # The 22nd character holds the last two of the salt's 128 bits: not every one is allowed.
    return bcrypt.hashpw(text.encode(), f"$2b${_COST:02d}${salt}.".encode()).decode()


def _refusal(path: Path, why: str) -> SettingsError:
    return SettingsError("stack.passwords_dir", [f"{path} {why}"])
