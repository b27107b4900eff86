/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// benchTime is how long a benchmark of Go runs in a round.
const benchTime = "60ms"

// figures are what benchmarks of Go have measured, by their names without «Benchmark» and then by
// unit, a value for each round.
type figures map[string]map[string][]float64

// add reads the output of a test binary.
func (f figures) add(output string) error {
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") || len(fields)%2 != 0 {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		if f[name] == nil {
			f[name] = map[string][]float64{}
		}
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("read a benchmark's line %q: %w", lines.Text(), err)
			}
			f[name][fields[i+1]] = append(f[name][fields[i+1]], value)
		}
	}
	return lines.Err()
}

// times returns how many nanoseconds a benchmark's function took.
func (f figures) times(name string) ([]float64, error) {
	values := f[name]["ns/op"]
	if len(values) == 0 {
		return nil, fmt.Errorf("there is no benchmark %q", name)
	}
	return values, nil
}

// goBenchmarks builds the tests of a package and runs the benchmarks of that pattern once in each
// round, so that they are measured by turns.
func (b *bench) goBenchmarks(ctx context.Context, all figures, folder, pattern string) error {
	binary := filepath.Join(b.folder, strings.ReplaceAll(folder, "/", "-")+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+folder) //nolint:gosec // one of the project's packages
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests of %s: %w\n%s", folder, err, out)
	}
	run := func(warmUp bool) error {
		if warmUp {
			return nil // each benchmark warms up by itself
		}
		cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchTime, "-test.benchmem") //nolint:gosec // as above
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run the benchmarks of %s: %w\n%s", folder, err, out)
		}
		return all.add(string(out))
	}
	return interleave(b.settings.rounds, run)
}

// code gathers what benchmarks of Go measure of single functions.
func code(ctx context.Context, b *bench) ([]table, error) {
	all := figures{}
	for _, p := range []struct{ folder, pattern string }{
		{"ingest/signature", "^BenchmarkDefaultScheme$/./^(64B|1KiB|64KiB|1MiB)$/^(Verify|Bare)$"},
		{"ingest/signature/ripemd128", "^Benchmark(RIPEMD128|RIPEMD160XCrypto)$/^(1K|8K|1M)$"},
		{"ingest/route", "^Benchmark(Lookup|GoMap|UpsertUnderLookups)$"},
	} {
		if err := b.goBenchmarks(ctx, all, p.folder, p.pattern); err != nil {
			return nil, err
		}
	}
	verify := table{Name: "verify", Title: "A signature parsed and verified, with one key; the ratio is of speeds.", Baseline: "crypto/hmac alone, with a state that is reused."}
	var allocations []string
	for _, algorithm := range []string{"SHA-256", "RIPEMD-128"} {
		for _, size := range []string{"64B", "1KiB", "64KiB", "1MiB"} {
			goal := target{atLeast, 0.95}
			if size == "64B" {
				goal = target{}
			}
			name := "DefaultScheme/" + algorithm + "/" + size
			r, err := all.compare(algorithm+", "+size, name+"/Verify", name+"/Bare", goal)
			if err != nil {
				return nil, err
			}
			verify.Rows = append(verify.Rows, r)
			if n := summarise(all[name+"/Verify"]["allocs/op"]).Median; n != 0 {
				allocations = append(allocations, fmt.Sprintf("%s, %s: %s allocations", algorithm, size, number(n)))
			}
		}
	}
	verify.Notes = []string{"No allocations in any of them."}
	if len(allocations) > 0 {
		verify.Notes = allocations
	}

	hash := table{Name: "RIPEMD-128", Title: "Sluice's own RIPEMD-128; the ratio is of speeds.", Baseline: "ripemd160 of golang.org/x/crypto, which does 5/4 of the work, or PHP's hash_hmac in C."}
	for _, size := range []string{"1K", "8K", "1M"} {
		r, err := all.compare(size, "RIPEMD128/"+size, "RIPEMD160XCrypto/"+size, target{atLeast, 1.25})
		if err != nil {
			return nil, err
		}
		hash.Rows = append(hash.Rows, r)
	}
	if r, err := b.againstPHP(ctx, all); err != nil {
		hash.Notes = append(hash.Notes, "Not compared with PHP: "+err.Error()+".")
	} else {
		hash.Rows = append(hash.Rows, r)
	}
	if r, ok := cyclesPerByte(all); ok {
		hash.Rows = append(hash.Rows, r)
	}

	lookup := table{Name: "routes", Title: "A path looked up among many; the ratio is of times.", Baseline: "a Go map that nobody may write to."}
	for _, routes := range []string{"10", "10000", "100000", "1000000"} {
		measured, err := all.times("Lookup/routes=" + routes)
		if err != nil {
			return nil, err
		}
		baseline, err := all.times("GoMap/routes=" + routes)
		if err != nil {
			return nil, err
		}
		lookup.Rows = append(lookup.Rows, compare(routes+" routes", "ns", measured, baseline, target{atMost, 3}, false))
		if n := summarise(all["Lookup/routes="+routes]["allocs/op"]).Median; n != 0 {
			lookup.Notes = append(lookup.Notes, fmt.Sprintf("%s routes: %s allocations", routes, number(n)))
		}
	}
	update := table{Name: "route update", Title: "One route of 100,000 changed while others look up paths all the time. Lookups take no lock, so they never wait."}
	took, err := all.times("UpsertUnderLookups")
	if err != nil {
		return nil, err
	}
	update.Rows = []row{figure("one update", "ms", scaled(took, 1e-6), target{atMost, 1})}
	return []table{verify, hash, lookup, update}, nil
}

// compare compares the speed of two benchmarks.
func (f figures) compare(name, measured, baseline string, t target) (row, error) {
	sluice, err := f.times(measured)
	if err != nil {
		return row{}, err
	}
	theirs, err := f.times(baseline)
	if err != nil {
		return row{}, err
	}
	return compare(name, "ns", sluice, theirs, t, true), nil
}

func scaled(values []float64, factor float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = v * factor
	}
	return all
}

// phpScript prints how many nanoseconds an HMAC of 1 MiB takes.
const phpScript = `$d = str_repeat("x", 1 << 20); hash_hmac("ripemd128", $d, "key");
$t = hrtime(true); for ($i = 0; $i < 20; $i++) hash_hmac("ripemd128", $d, "key"); echo (hrtime(true) - $t) / 20;`

// againstPHP compares with PHP, which most senders that use RIPEMD-128 are written in.
func (b *bench) againstPHP(ctx context.Context, all figures) (row, error) {
	path, err := exec.LookPath("php")
	if err != nil {
		return row{}, err
	}
	var theirs []float64
	for range b.settings.rounds {
		out, err := exec.CommandContext(ctx, path, "-r", phpScript).Output() //nolint:gosec // a script of our own
		if err != nil {
			return row{}, fmt.Errorf("php: %w", err)
		}
		took, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return row{}, fmt.Errorf("php: %w", err)
		}
		theirs = append(theirs, took)
	}
	sluice, err := all.times("DefaultScheme/RIPEMD-128/1MiB/Verify")
	if err != nil {
		return row{}, err
	}
	return compare("HMAC of 1 MiB, with PHP", "ns", sluice, theirs, target{atLeast, 1}, true), nil
}

// cyclesPerByte is by the clock that Linux tells, which a processor that speeds up exceeds. 8.6
// cycles were published for C.
func cyclesPerByte(all figures) (row, bool) {
	const published, factor, length = 8.6, 1.5, 1 << 20
	clock, err := strconv.ParseFloat(field("/proc/cpuinfo", "cpu MHz"), 64)
	took := all["RIPEMD128/1M"]["ns/op"]
	if err != nil || len(took) == 0 {
		return row{}, false
	}
	return figure("cycles a byte", "cycles", scaled(took, clock/1000/length), target{atMost, published * factor}), true
}
