#!/bin/sh
# Creates the virtual environment $1 with the first Python 3.11 to 3.13 on the path ($PYTHON wins).
# Nothing is left behind when it fails, so that the next run starts over.
set -eu
venv=$1

suits() {
    "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}

chosen=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if suits "$candidate"; then
        chosen=$candidate
        break
    fi
done
if [ -z "$chosen" ]; then
    echo "setup: no Python 3.11, 3.12 or 3.13 on the path. Install one, or name it: make PYTHON=..." >&2
    exit 3
fi

trap 'rm -rf "$venv"' EXIT
echo "setup: virtual environment with $("$chosen" --version)"
"$chosen" -m venv "$venv" || {
    echo "setup: $chosen cannot create a virtual environment. On Debian: apt install python3-venv" >&2
    exit 3
}
trap - EXIT
