"""What the sections are built of: cards, facts, tables, and lists that fold where they get long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.words import UNKNOWN

MOST_UNFOLDED = 10
"""Rows that are shown at once; a bot of hundreds of symbols must fit a phone."""

Fact = tuple[str, Html]
"""A plain name, and its value."""

Row = tuple[str, *tuple[Html, ...]]
"""What names a table's row, and its cells."""

_CARD = Html(
    '<section class="{classes}" id="{name}" aria-labelledby="{name}-title">'
    '<h2 id="{name}-title">{title}</h2>{body}</section>'
)
_FACT = Html("<div><dt>{}</dt><dd>{}</dd></div>")
_TABLE = Html(
    # Where a word is wider than the screen the table scrolls, not the page; the keyboard reaches it, too.
    '<div class="wide" role="group" tabindex="0" aria-label="{title}"><table>'
    '<caption class="{caption}">{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
)
_ROW = Html('<tr><th scope="row">{}</th><td>{}</td></tr>')
_BETWEEN_CELLS = Html("</td><td>")
_NOTE = Html('<span class="note">{}</span>')


def card(name: str, title: str, body: Html, *, kind: str = "") -> Html:
    """Return a section with a heading."""
    return _CARD.format(classes=f"card {kind}".strip(), name=name, title=title, body=body)


def facts(rows: Iterable[Fact], *, of: str = "") -> Html:
    """Return names and values. In the card `of` that name, those that nobody has reported are folded into one line."""
    known: list[Fact] = []
    unknown: list[Fact] = []
    for name, value in rows:
        (unknown if of and value.startswith(UNKNOWN) else known).append((name, value))
    shown = Html("<dl>{}</dl>").format(NOTHING.join(_FACT.format(name, value) for name, value in known))
    if not unknown:
        return shown
    names = Html('<p class="empty">{}</p>').format(", ".join(name for name, _ in unknown))
    folded = fold(f"{of}-unreported", f"Not reported ({len(unknown)})", names)
    return shown + folded if known else folded


def bad(what: str) -> Html:
    """Return what stands out as wrong."""
    return Html('<strong class="bad">{}</strong>').format(what)


def note(text: str) -> Html:
    """Return a remark under a value."""
    return _NOTE.format(text) if text else NOTHING


def table(name: str, title: str, columns: Sequence[str], rows: Sequence[Row]) -> Html:
    """Return a table whose first column names its rows, folded where there are many."""
    folded = len(rows) > MOST_UNFOLDED
    made = _TABLE.format(
        title=title,
        caption="hidden" if folded else "title",
        head=NOTHING.join(Html('<th scope="col">{}</th>').format(column) for column in columns),
        body=NOTHING.join(_ROW.format(first, _BETWEEN_CELLS.join(cells)) for first, *cells in rows),
    )
    return fold(name, f"{title} ({len(rows)})", made) if folded else made


def fold(name: str, title: str, body: Html) -> Html:
    """Return something that is opened by a touch, and stays open when the page is refreshed."""
    return Html('<details id="{}"><summary>{}</summary>{}</details>').format(name, title, body)
