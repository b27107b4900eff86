/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluice-dev/sluice/ingest/route"
)

// benchmarkLookups runs a benchmark for tables of several sizes, with paths that are there, in
// random order.
func benchmarkLookups(b *testing.B, run func(b *testing.B, routes []*route.Route, paths []string)) {
	b.Helper()
	for _, size := range []int{10, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("routes=%d", size), func(b *testing.B) {
			routes := numbered(size, 1)
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence in each run
			paths := make([]string, 1<<16)
			for i := range paths {
				paths[i] = routes[random.IntN(size)].Path()
			}
			b.ReportAllocs()
			run(b, routes, paths)
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	benchmarkLookups(b, func(b *testing.B, routes []*route.Route, paths []string) {
		table := route.NewTable()
		table.Replace(routes)
		i := 0
		for b.Loop() {
			if _, ok := table.Lookup(paths[i%len(paths)]); !ok {
				b.Fatal("a route is missing")
			}
			i++
		}
	})
}

// BenchmarkGoMap is the least that a lookup could cost: a map that nobody may write to.
func BenchmarkGoMap(b *testing.B) {
	benchmarkLookups(b, func(b *testing.B, routes []*route.Route, paths []string) {
		table := make(map[string]*route.Route, len(routes))
		for _, r := range routes {
			table[r.Path()] = r
		}
		i := 0
		for b.Loop() {
			if _, ok := table[paths[i%len(paths)]]; !ok {
				b.Fatal("a route is missing")
			}
			i++
		}
	})
}

func BenchmarkUpsert(b *testing.B) {
	b.Run("routes=100000", func(b *testing.B) {
		routes := numbered(100_000, 1)
		table := route.NewTable()
		table.Replace(routes)
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence in each run
		b.ReportAllocs()
		for b.Loop() {
			table.Upsert(routes[random.IntN(len(routes))])
		}
	})
}

// BenchmarkUpsertUnderLookups is BenchmarkUpsert with 100,000 routes while somebody else looks up
// paths all the time.
func BenchmarkUpsertUnderLookups(b *testing.B) {
	routes := numbered(100_000, 1)
	table := route.NewTable()
	table.Replace(routes)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, ok := table.Lookup(routes[i%len(routes)].Path()); !ok {
				b.Error("a route is missing")
				return
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence in each run
	for b.Loop() {
		table.Upsert(routes[random.IntN(len(routes))])
	}
	close(stop)
	<-stopped
}

// BenchmarkReplace also says what one route costs, which is to be the same for any number.
func BenchmarkReplace(b *testing.B) {
	for _, size := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("routes=%d", size), func(b *testing.B) {
			routes := numbered(size, 1)
			table := route.NewTable()
			b.ReportAllocs()
			for b.Loop() {
				table.Replace(routes)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/route")
		})
	}
}
