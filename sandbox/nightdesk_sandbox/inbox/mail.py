"""What a mail says: its headers and parts decoded, and its HTML as a person would read it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from html.parser import HTMLParser

from nightdesk_core.text import clean, line

from nightdesk_sandbox.inbox.store import Inbox

_SHOWN_HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-Id")
_STUMBLES = (AttributeError, LookupError, TypeError, ValueError)
"""What Python's mail library raises at headers and character sets that are none: a mail is shown all the same."""


def receive(inbox: Inbox, content: bytes, *, recipients: list[str]) -> None:
    """Put a mail, as it came over the wire, into the inbox; encoded headers and parts are decoded."""
    recipients = [line(recipient) for recipient in recipients]
    mail = message_from_bytes(content, policy=default_policy)
    plain, html = _part(mail, "plain"), _part(mail, "html")
    found = {name: _header(mail, name) for name in _SHOWN_HEADERS}
    headers = {name: text for name, text in found.items() if text is not None}
    inbox.add(
        "email",
        title=headers.get("Subject", ""),
        text=(plain if plain is not None else _text_of(html or "")).strip(),
        html=html,
        to=", ".join(recipients),
        raw={"headers": headers, "recipients": recipients, "source": content.decode("utf-8", errors="replace")},
    )


def _header(mail: EmailMessage, name: str) -> str | None:
    """Return a header decoded, as it stands where that cannot be, or None where there is none."""
    try:
        value = mail[name]
    except _STUMBLES:
        value = next(text for key, text in mail.raw_items() if key.lower() == name.lower())
    return None if value is None else clean(str(value))


def _part(mail: EmailMessage, subtype: str) -> str | None:
    """Return the text of the part that a reader of `subtype` would show, or None."""
    try:
        part = mail.get_body(preferencelist=(subtype,))
    except _STUMBLES:
        return None
    if part is None:
        return None
    try:
        return clean(str(part.get_content()))
    except _STUMBLES:  # a character set that Python does not know
        payload = part.get_payload(decode=True)
        return clean(payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else str(payload))


class _TextOfHtml(HTMLParser):
    """Collects what a person would read of an HTML mail: blocks on lines of their own, no style and no script."""

    _SILENT = frozenset({"style", "script", "head", "title"})
    _BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        self._silent += tag in self._SILENT
        if tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        self._silent = max(self._silent - (tag in self._SILENT), 0)

    def handle_data(self, data: str) -> None:
        """Take the text between elements."""
        if not self._silent:
            self.pieces.append(data)


def _text_of(html: str) -> str:
    parser = _TextOfHtml()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.pieces).splitlines())
    return "\n".join(line for line in lines if line)
