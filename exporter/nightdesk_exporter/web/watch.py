"""The web configuration file while the server runs: read again once it, a certificate or a key changes."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from nightdesk_exporter.errors import WebConfigError
from nightdesk_exporter.web.config import WebConfig

_LOOK_SECONDS = 1.0
"""How often is looked whether a file changed, at most; nobody asks in between without need."""

Stamp = tuple[tuple[int, int, int] | None, ...]


class WatchedConfig:
    """The configuration in force. One that cannot be used is logged, and what was in force before remains.

    Turning TLS on or off needs a restart: who scrapes has to be told anyway.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the file; `None` is a server without TLS and passwords. Raises `WebConfigError`."""
        self._path = path
        self._stamp: Stamp = ()
        self._looked_at = float("-inf")
        self._files: tuple[Path, ...] = ()
        self._config = WebConfig()
        if path is not None:
            self._files = (path,)
            self._stamp = self._stamped()
            self._take(_read(path), path)

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self._config.tls is not None

    def current(self, *, now: float) -> WebConfig:
        """Return what is in force at monotonic time `now`."""
        if self._path is None or now - self._looked_at < _LOOK_SECONDS:
            return self._config
        self._looked_at = now
        # The stamp is from before the reading: what changes while it is read is seen next time.
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            self._read_again(self._path)
        return self._config

    def _read_again(self, path: Path) -> None:
        try:
            config = _read(path)
            if (config.tls is None) != (self._config.tls is None):
                raise WebConfigError(path, ["tls_server_config: TLS is turned on or off by a restart only"])
        except WebConfigError as error:
            logger.error("the web configuration before it stays in force: {}", error)
            return
        self._take(config, path)
        logger.info("the web configuration {} was read again", path)

    def _take(self, config: WebConfig, path: Path) -> None:
        self._config = config
        if self._files != (path, *config.files):
            self._files = (path, *config.files)
            self._stamp = self._stamped()

    def _stamped(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _read(path: Path) -> WebConfig:
    from nightdesk_exporter.web.config_file import read_web_config  # with pydantic and yaml, for who has such a file

    return read_web_config(path)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
