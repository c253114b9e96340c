"""Where subjects run: ours and what ships with it in this Python, every other peer in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
VAR = CHECKOUT / "var" / "bench"
OURS = Path(sys.executable)


def environment(peer: str) -> Path:
    """Return the Python of a peer's environment, made where it does not exist yet."""
    folder = VAR / peer
    python = folder / "bin" / "python"
    requirements = CHECKOUT / "bench" / "requirements" / f"{peer}.txt"
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.stat().st_mtime < requirements.stat().st_mtime:
        print(f"making an environment for {peer}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
        subprocess.run([str(python), *install, "-r", str(requirements)], check=True)
        stamp.touch()
    return python


def command(python: Path, subject: str, *arguments: object) -> list[str]:
    """Return the command that runs a subject."""
    script = CHECKOUT / "bench" / "peers" / f"{subject}.py"
    return [str(python), str(script), *map(str, arguments)]


def told_by(python: Path, subject: str, *arguments: object) -> Any:
    """Return what a subject measured itself."""
    # Bytecode is kept, as by an installation: without, each import of ours would measure the compiler.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command(python, subject, *arguments), stdout=subprocess.PIPE, text=True, check=True, env=kept)
    return json.loads(done.stdout)
