#!/usr/bin/env bash
# Runs every fuzz target of the project for the given time (20s by default) or count (such as 100000x): one on each
# processor at a time, each in one process. A package is built once for all of its targets. Minimisation is bounded, because
# by default it can take most of a short run. FUZZ chooses targets by a regular expression.
#
# What fails is written to testdata/fuzz/<target> of the package, to be mended and committed. What is new and passes is kept
# in Go's cache, and the next run begins with it and with what is committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export FUZZ_TIME=${1:-20s} FUZZ_FOLDER FUZZ_CACHE
FUZZ_FOLDER=$(mktemp -d)
FUZZ_CACHE=$(go env GOCACHE)/fuzz
trap 'rm -rf "$FUZZ_FOLDER"' EXIT

fuzz() { # fuzz PACKAGE BINARY TARGET
	cd "$1"
	if ! "$2" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$FUZZ_TIME" -test.fuzzminimizetime 10x -test.parallel 1 \
		-test.fuzzcachedir "$FUZZ_CACHE/$(go list)" >"$2.$3" 2>&1; then
		printf 'FAILED %s %s\n%s\n' "$1" "$3" "$(cat "$2.$3")"
		return 1
	fi
	printf 'fuzzed %s %s: %s\n' "$1" "$3" "$(grep -o 'execs: .*' "$2.$3" | tail -n 1)"
}
export -f fuzz

number=0
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do
	binary=$FUZZ_FOLDER/$((number += 1)).test
	go test -c -fuzz . -o "$binary" "$package"
	sed -nE "s#^func (Fuzz\w*${FUZZ:-}\w*)\(.*#$package $binary \1#p" "$package"/*_test.go
done | xargs -r -n3 -P "$(nproc)" bash -c 'set -euo pipefail; fuzz "$@"' fuzz
