"""Text from elsewhere, made fit to be shown: in a terminal, a table, a log, HTML, a chat, a mail's header.

Whoever names a symbol, answers a request or sends a message may write what is obeyed and not seen: control characters
(a terminal takes them for commands), bidirectional overrides and characters without width (what is read is not what is
there), line breaks (a second line that nobody wrote), halves of characters (which no encoding can write). Each such
character is replaced by U+FFFD, so that it shows that something was there. Markup is the business of whoever knows the
target's: HTML's of its template, Slack's of its channel.
"""

from __future__ import annotations

import re

_UNSHOWN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufeff\uffa0"  # no width
    "\u2028-\u202e"  # line and paragraph separators, bidirectional overrides; isolates are U+2066 to U+2069
    "\ufff0-\ufffb\ufdd0-\ufdef\ufffe\uffff"  # annotations and what is no character
    "\ud800-\udfff"  # halves of characters
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # formats, tags
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_LINE_BREAK = re.compile("[\n\t]")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """Return a text of several lines as it may be shown. It can be encoded in UTF-8, whatever it was."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSHOWN.sub(_UNKNOWN, text.replace("\r\n", "\n"))


def line(text: str) -> str:
    """Return a text as it may be shown where one line is meant: its line breaks and tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return _LINE_BREAK.sub(" ", clean(text))


def told(value: object) -> str:
    """Return what an object says of itself, as it is; where that raises, that it cannot be shown, and why."""
    try:
        # Made a plain text: what is only a kind of one may still raise when it is formatted.
        return str.__str__(str(value))
    except Exception as error:  # noqa: BLE001 - somebody else's __str__: what shows it must not fail for it
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
