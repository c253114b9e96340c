"""What the sections are built of: cards, facts, tables, and lists that fold where they get long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_UNFOLDED = 10
"""Rows that are shown at once; a bot of hundreds of symbols must fit a phone."""

Fact = tuple[str, str]
"""A plain name, and its value as HTML."""


def card(name: str, title: str, body: str, *, kind: str = "") -> str:
    """Return a section with a heading, as HTML."""
    classes = f"card {kind}".strip()
    return (
        f'<section class="{classes}" id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{title}</h2>{body}</section>'
    )


def facts(rows: Iterable[Fact]) -> str:
    """Return names and values."""
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl>{listed}</dl>"


def note(text: str) -> str:
    """Return a remark under a value."""
    return f'<span class="note">{text}</span>' if text else ""


def table(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column names its rows, folded where there are many. Cells are HTML."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    folded = len(rows) > MOST_UNFOLDED
    caption = f'<caption class="{"hidden" if folded else "title"}">{title}</caption>'
    # Where a word is wider than the screen the table scrolls, not the page; the keyboard reaches it, too.
    made = (
        f'<div class="wide" role="group" tabindex="0" aria-label="{title}"><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return fold(name, f"{title} ({len(rows)})", made) if folded else made


def fold(name: str, title: str, body: str) -> str:
    """Return something that is opened by a touch, and stays open when the page is refreshed."""
    return f'<details id="{name}"><summary>{title}</summary>{body}</details>'
