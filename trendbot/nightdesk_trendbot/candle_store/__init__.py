"""The history to train on: collected, kept, checked against gaps, errors and shifts, and reported.

For other rooms: `source_folder`, where the files of one source lie.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.candle_store.store import source_folder
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.candle_store.store": ["source_folder"],
        },
    )


__all__ = ["source_folder"]
