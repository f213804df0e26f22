#!/usr/bin/env bash
# Builds Prism, Beam's local streaming runner, into .tools/prism: make prism [PRISM_VERSION=2.77.0].
# The version should be that of the installed apache-beam. Built once a version, in a folder that
# is renamed at the end: what was interrupted is never taken for whole.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${PRISM_VERSION:-2.77.0}
built=.tools/prism-$version

if [[ ! -x $built ]]; then
  if ! command -v go >/dev/null; then
    echo "error: Prism is built with Go, and no go is on the PATH: install Go 1.26 or newer" >&2
    exit 1
  fi
  echo "== Prism $version: building (once, two minutes or more)"
  mkdir -p .tools
  part=$(mktemp -d .tools/prism.XXXXXX)
  trap 'rm -rf "$part"' EXIT
  GOBIN=$PWD/$part GOFLAGS=-mod=mod nice go install -v \
    "github.com/apache/beam/sdks/v2/go/cmd/prism@v$version" 2>&1 |
    awk '/^go: downloading/ { if (++got % 20 == 0) print "   " got " modules downloaded"; next }
         /^[^ ]*\/[^ ]*$|^[a-z]+$/ { if (++done % 100 == 0) print "   " done " packages built"; next }
         { print } { fflush() }'
  mv "$part/prism" "$built"
fi
# What is run ends with the launcher, however that ends: Beam would leave a Prism behind whose
# launcher was killed. (Linux; elsewhere there is no setpriv.)
cat >".tools/prism.$$" <<EOF
#!/bin/sh
built=\$(dirname "\$0")/prism-$version
if command -v setpriv >/dev/null; then exec setpriv --pdeathsig TERM "\$built" "\$@"; fi
exec "\$built" "\$@"
EOF
chmod +x ".tools/prism.$$"
mv -f ".tools/prism.$$" .tools/prism
echo "Prism $version is ready: .tools/prism"
echo "run on it: .venv/bin/python -m pipeline --runner prism"
