"""A strategy of which only the loading counts: small, for it is loaded in a process of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from nightdesk_core.models.bundle import BundleError


class Strategy:
    """The settings say how it goes wrong."""

    def __init__(self, does: str) -> None:
        self.does = does

    @classmethod
    def from_settings(cls, document: dict[str, Any]) -> Strategy:
        return cls(document["strategy"]["does"])

    def load(self, folder: Path) -> object:
        with (folder.parent / "loads").open("a") as file:
            file.write(".")
        if self.does == "aborts":
            os.abort()
        if self.does == "hangs":
            time.sleep(60)
        if self.does == "dawdles":
            time.sleep(2)
        if self.does == "fills the memory":
            return bytearray(40_000_000_000)
        if self.does == "raises":
            raise KeyError("weights")
        if self.does == "exits":
            os._exit(7)
        if self.does == "refuses":
            raise BundleError(folder, "is not ours")
        return print("noise that is no answer")
