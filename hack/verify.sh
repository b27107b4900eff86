#!/usr/bin/env bash
# Fails if the working tree differs from what is committed after everything was generated anew: files that drifted, and
# generated files that nobody added. Run it through make verify.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

go mod tidy
(cd test/sdk && go mod tidy)
(cd hack/image && go mod tidy)
(cd hack/release && go mod tidy)
(cd hack/bench && go mod tidy)
(cd test/deploy && go mod tidy)
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
