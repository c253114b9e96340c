"""The inbox's page: every message as its service would show it, and nothing that anybody sends is ever run or loaded.

All of it is made here, escaped, as HTML. Messages that come while somebody looks are sent to the page in the same form.
"""

from nightdesk_sandbox.inbox.page.handlers import InboxPage

__all__ = ["InboxPage"]
