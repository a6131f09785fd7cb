#!/usr/bin/env bash
# Makes a Python environment with the clients of the matrix in it, and prints the path of its interpreter on stdout.
# What is there already is kept, so a second call takes a moment and needs no network.
#
#   setup-python.sh [DIR]     DIR: where it goes; default $KAFKATS_ORACLE_DIR, else ~/.cache/kafkats-oracle
#
# Needs Python 3.9 or newer with venv, and PyPI where the packages are not there yet.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-${KAFKATS_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kafkats-oracle}}
command -v python3 >/dev/null 2>&1 || { echo 'setup-python.sh: python3 is needed (3.9 or newer)' >&2; exit 1; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# The folder is named after what is in it, so an older or newer checkout never runs the wrong one.
env=$dir/python-$(cksum <"$here/requirements.txt" | cut -d' ' -f1)
if [ ! -e "$env/.complete" ]; then
  python3 -m venv "$env" >&2 || { echo 'setup-python.sh: python3 could not make an environment (is its venv module installed?)' >&2; exit 1; }
  for attempt in 1 2 3; do
    echo "setup-python.sh: fetching the Python clients (about 10 MB, attempt $attempt of 3)" >&2
    if "$env/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" >&2 </dev/null; then
      touch "$env/.complete"
      break
    fi
    sleep $((attempt * 3))
  done
  [ -e "$env/.complete" ] || { echo 'setup-python.sh: pip could not fetch the clients from PyPI' >&2; exit 1; }
fi

echo "$env/bin/python"
