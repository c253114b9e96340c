#!/bin/sh
# What the product needs of the system: Python 3.11 with venv, OpenMP's library for LightGBM, setpriv for the supervisor.
# `system-packages.sh test` also sees to what its tests need: a Chromium, which looks at the status page, and
# systemd's own check of units; neither starts a service.
# Installs what is missing where it may, and says what to do where it may not.
set -eu
python=${PYTHON:-python3}
missing=
command -v "$python" >/dev/null 2>&1 || missing="$missing python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing="$missing libgomp1"
command -v setpriv >/dev/null 2>&1 || missing="$missing util-linux"
if [ "${1:-}" = test ]; then
  command -v chromium || command -v chromium-browser || command -v google-chrome || missing="$missing chromium"
  command -v systemd-analyze || missing="$missing systemd"
fi >/dev/null 2>&1
command -v apt-get >/dev/null 2>&1 || {
  [ -z "$missing" ] || { echo "this system lacks:$missing (Debian's names); install them and try again" >&2; exit 1; }
}
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 - a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
  else
    echo "packages are missing; run: sudo apt-get install$missing" >&2
    exit 1
  fi
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed, $python is $("$python" --version); name another with make PYTHON=…" >&2
  exit 1
}
