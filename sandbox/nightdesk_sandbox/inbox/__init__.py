"""The inbox: where alerts go while there is nobody to page. It takes messages as real services do, and shows them."""

from nightdesk_sandbox.inbox.store import KEPT, Inbox

__all__ = ["KEPT", "Inbox"]
