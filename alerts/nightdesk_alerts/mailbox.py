"""E-mail addresses as people write them: with a name, several in one text, in letters of any alphabet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.headerregistry import Address
from email.utils import quote

from nightdesk_core.errors import NightdeskError
from nightdesk_core.text import line

_PART = re.compile(r'(?:"(?:\\.|[^"\\])*"|<[^<>]*>|[^,;"<>])+')
_SEPARATORS = re.compile(r"[,;\s]*")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\\\]]+")
_PUNCTUATION = re.compile(r"[\"(),:;<>@\[\\\]]")
_QUOTED_PAIR = re.compile(r"\\(.)")
_LONGEST_LOCAL, _LONGEST_HOST = 64, 253


class MailboxError(NightdeskError, ValueError):
    """A text is no list of e-mail addresses; the message says what is wrong with which part."""

    exit_code = 2


@dataclass(frozen=True)
class Mailbox:
    """One address: `host` is in ASCII, as the mail servers know it; `name` may be empty."""

    name: str
    local: str
    host: str

    @property
    def address(self) -> str:
        """What the mail servers are told."""
        return f"{self.local}@{self.host}"

    @property
    def header(self) -> Address:
        """What Python's mail library writes into a header, encoded.

        Without punctuation in the name: where a header takes several lines, the library forgets to quote that.
        """
        return Address(" ".join(_PUNCTUATION.sub(" ", self.name).split()), self.local, self.host)

    @property
    def encoded(self) -> str:
        """What may stand in a header as it is: in ASCII, but for what is left of the @."""
        if not self.name:
            return self.address
        ascii_name = self.name.isascii()
        name = f'"{quote(self.name)}"' if ascii_name else Header(self.name, "utf-8").encode().replace("\n", "")
        return f"{name} <{self.address}>"


def mailboxes(texts: Iterable[str]) -> list[Mailbox]:
    """Return the addresses of some texts, each with one or several, separated by commas or semicolons.

    A name that holds one of those is in quotes: `a@x.org; "Doe, Jane" <jane@x.org>`. One that is there twice counts
    once. Raises `MailboxError`.
    """
    found: dict[str, Mailbox] = {}
    for text in texts:
        if line(text) != text:
            raise MailboxError(f"{line(text)!r} holds a line break or what cannot be seen")
        for part in _parts(text):
            mailbox = _mailbox(part)
            found.setdefault(mailbox.address.lower(), mailbox)
    return list(found.values())


def _parts(text: str) -> list[str]:
    parts, at = [], _SEPARATORS.match(text).end()  # type: ignore[union-attr]  # it matches nothing at least
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise MailboxError(f"{text!r} has a quote or a bracket without its other one")
        parts.append(part[0].strip())
        at = part.end()
        separator = _SEPARATORS.match(text, at)
        at = at if separator is None else separator.end()
    return parts


def _mailbox(part: str) -> Mailbox:
    named = _NAMED.fullmatch(part)
    name, address = ("", part) if named is None else (named["name"].strip(), named["address"].strip())
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _QUOTED_PAIR.sub(r"\1", name[1:-1])
    local, at, host = address.rpartition("@")
    if not (at and host) or " " in host or not _LOCAL.fullmatch(local) or len(local.encode()) > _LONGEST_LOCAL:
        raise MailboxError(f"{part!r}, which is no e-mail address: it must read name@host")
    return Mailbox(_decoded(name), local, _in_ascii(host, part))


def _decoded(name: str) -> str:
    """Return a name that may have been copied from a mail's header, where it is encoded."""
    try:
        return line(str(make_header(decode_header(name))))
    except (HeaderParseError, LookupError, ValueError):
        return name


def _in_ascii(host: str, part: str) -> str:
    """Return a domain as mail servers know it; one that Python would make another of (ß) is refused."""
    try:
        found = host.encode("idna").decode().lower()
        same = host.isascii() or found.encode().decode("idna") == host.lower()
    except UnicodeError:
        found, same = "", False
    labels = found.split(".")
    good = all(re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", label) for label in labels)
    if not same or not good or len(found) > _LONGEST_HOST:
        raise MailboxError(f"{part!r}, whose domain is none; one in other letters may be written as xn--…")
    return found
