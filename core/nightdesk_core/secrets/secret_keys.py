"""What is secret in a mapping that nobody declared, such as a library's options or a strategy's own settings.

A declared setting says so by its type (`SecretStr`). Here the names that people give to secrets have to do, and
addresses that hold one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from nightdesk_core.secrets.redaction import HIDDEN

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PARTS = (
    "accesskey", "accountid", "apikey", "authorization", "bearer", "cookie", "credential", "mnemonic", "passphrase",
    "passwd", "password", "privatekey", "secret", "seedphrase", "sessionid", "signingkey", "walletaddress", "webhook",
)  # fmt: skip
_WORDS = frozenset({"auth", "login", "otp", "pwd", "token", "totp", "twofa", "uid"})
_PLACES = frozenset({"dir", "env", "file", "path"})
"""A key that ends with one of these says where a secret lies."""
_SHORTEST = 8
"""What is shorter, such as the `token` BTC, is masked in its place, and not looked for in every line of a log."""
_LOGIN = re.compile(r"(?<=://)(?P<secret>[^\s/?#@]*:[^\s/?#@]+)(?=@)")
_PARAMETER = re.compile(r"(?<=[?&])(?P<key>[^=&#\s]+)=(?P<secret>[^&#\s]+)")


def is_secret_key(key: object) -> bool:
    """Return whether what is written under a key is secret, by the key's name: `apiKey`, `api_secret`, `uid`."""
    words = [word.lower() for word in _WORD.findall(str(key))]
    if not words or words[-1] in _PLACES:
        return False
    joined = "".join(words)
    return joined == "key" or any(part in joined for part in _PARTS) or not _WORDS.isdisjoint(words)


def secret_places(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted keys at which a value that nobody declared holds what is secret."""
    yield from dict.fromkeys(place for place, _ in _found(value, path, secret=False))


def secret_texts(value: Any) -> Iterator[str]:
    """Yield what is secret in a value that nobody declared, as it is looked for in logs."""
    for _, text in _found(value, "", secret=False):
        if len(text) >= _SHORTEST:
            yield text


def masked(value: Any, redact: Callable[[str], str]) -> Any:
    """Return a copy of a document that may be shown: secrets are stars: by keys, in addresses, and by `redact`."""
    if isinstance(value, Mapping):
        return {
            _text(str(key), redact) if isinstance(key, str) else key: _all_masked(item)
            if is_secret_key(key)
            else masked(item, redact)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item, redact) for item in value]
    return _text(value, redact) if isinstance(value, str) else value


def _text(text: str, redact: Callable[[str], str]) -> str:
    def parameter(found: re.Match[str]) -> str:
        return f"{found['key']}={HIDDEN if is_secret_key(found['key']) else found['secret']}"

    return redact(_PARAMETER.sub(parameter, _LOGIN.sub(HIDDEN, text)))


def _all_masked(value: Any) -> Any:
    """Return a value under a secret key: its shape, without what it says. What is empty shows that it is."""
    if isinstance(value, Mapping):
        return {key: _all_masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_all_masked(item) for item in value]
    return HIDDEN if _says_something(value) else value


def _says_something(value: Any) -> bool:
    return not isinstance(value, bool) and value not in (None, "")


def _found(value: Any, path: str, *, secret: bool) -> Iterator[tuple[str, str]]:
    """Yield each secret with its place; `secret` says that all of the value is one."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _found(item, f"{path}.{key}".lstrip("."), secret=secret or is_secret_key(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _found(item, path, secret=secret)
    elif secret and _says_something(value):
        yield path, str(value)
    elif isinstance(value, str):
        for login in _LOGIN.finditer(value):
            yield path, login["secret"]
            password = login["secret"].partition(":")[2]
            yield from ((path, text) for text in {password, unquote(password)})
        for parameter in _PARAMETER.finditer(value):
            if is_secret_key(parameter["key"]):
                yield path, parameter["secret"]
