"""The meta-model: labels, training, the strategy that asks it, its backtest, and the champion in use.

For other rooms: `MetaModel`, and `ChampionWatch`, which loads the champion whenever it changes.
"""

from typing import TYPE_CHECKING

from nightdesk_core.face import lazy_face

if TYPE_CHECKING:
    from nightdesk_trendbot.model.champion import ChampionWatch
    from nightdesk_trendbot.model.meta_model import MetaModel
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "nightdesk_trendbot.model.champion": ["ChampionWatch"],
            "nightdesk_trendbot.model.meta_model": ["MetaModel"],
        },
    )


__all__ = ["ChampionWatch", "MetaModel"]
