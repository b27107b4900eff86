#!/usr/bin/env bash
# Fails if the working tree differs from what is committed after everything was generated anew: files that drifted, and
# generated files that nobody added. Run it through make verify.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for module in $(git ls-files 'go.mod' '**/go.mod'); do
	(cd "$(dirname "$module")" && go mod tidy)
done
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
	printf 'not formatted (run gofmt -w):\n%s\n' "$unformatted" >&2
	exit 1
fi
changed=$(git status --porcelain)
if [ -n "$changed" ]; then
	printf 'generated files differ from what is committed, or files are not committed:\n%s\n' "$changed" >&2
	git --no-pager diff | head -n 100 >&2
	echo 'run make generate and go mod tidy, and commit the result' >&2
	exit 1
fi
