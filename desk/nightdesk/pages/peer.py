"""Which user of this machine a loopback connection comes from, as the kernel keeps it.

A session's cookie goes to every server on 127.0.0.1 that the browser is led to, for cookies know no port. Another user
of the machine who gets hold of it that way is still not the one whose cookie it is.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"


def peer_uid(peer: tuple[str, int], own: tuple[str, int], *, table: Path = _TABLE) -> int | None:
    """Return the user whose process holds the other end of a connection between IPv4 addresses of this machine.

    `None` where the kernel keeps no such table, or the other end is gone or elsewhere.
    """
    wanted = (_address(peer), _address(own), _ESTABLISHED)
    try:
        with table.open(encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                if tuple(fields[1:4]) == wanted:
                    return int(fields[7])
    except OSError:
        return None
    return None


def _address(address: tuple[str, int]) -> str:
    """Return an address as the table has it: the number in the machine's own order of bytes, the port as it is."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
