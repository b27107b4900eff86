#!/usr/bin/env bash
# Runs every fuzz target of the project for the given time (20s by default) or count (such as 100000x), one after the
# other. Minimisation is bounded, because by default it can take most of a short run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${1:-20s}
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do
	for target in $(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' "$package"/*_test.go | awk '{print $2}'); do
		echo "fuzzing $package $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package"
	done
done
