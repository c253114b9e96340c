"""The status page, for a person with a phone: pure functions from what is known to HTML that loads nothing.

Symbols, reasons and events are others' text: `html` escapes whatever is put into HTML.
"""

from nightdesk_exporter.page.document import HEADERS, document
from nightdesk_exporter.page.view import View

__all__ = ["HEADERS", "View", "document"]
