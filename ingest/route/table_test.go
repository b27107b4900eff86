/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// many is a number of routes at which most shards hold several.
const many = 20_000

// newRoute returns a route of which every field tells its version.
func newRoute(namespace, name string, version int) *route.Route {
	v := fmt.Sprintf("version %d", version)
	return &route.Route{Namespace: namespace, Name: name, UID: v, Flow: v, Unavailable: v, Revision: v}
}

// numbered returns n routes.
func numbered(n, version int) []*route.Route {
	routes := make([]*route.Route, n)
	for i := range routes {
		routes[i] = newRoute(fmt.Sprintf("team-%d", i%100), fmt.Sprintf("trigger-%d", i), version)
	}
	return routes
}

// content returns what All yields, by path, and fails if it yields a path twice.
func content(tb testing.TB, table *route.Table) map[string]*route.Route {
	tb.Helper()
	found := map[string]*route.Route{}
	for r := range table.All() {
		if _, twice := found[r.Path()]; twice {
			tb.Errorf("All yields %s twice", r.Path())
		}
		found[r.Path()] = r
	}
	return found
}

// wantContent holds a table against a map, through All and through Lookup.
func wantContent(tb testing.TB, table *route.Table, want map[string]*route.Route) {
	tb.Helper()
	got := content(tb, table)
	if !maps.Equal(want, got) {
		tb.Errorf("All (-want +got):\n%s", cmp.Diff(want, got, cmpopts.IgnoreFields(route.Route{}, "Verifier"), cmpopts.IgnoreUnexported(route.Route{}), cmpopts.EquateEmpty()))
	}
	for path, r := range want {
		if got, ok := table.Lookup(path); !ok || got != r {
			tb.Errorf("Lookup of %q: %+v, %t, want the route that was put there, %+v", path, got, ok, r)
		}
	}
}

func isWarm(table *route.Table) bool {
	select {
	case <-table.Warm():
		return true
	default:
		return false
	}
}

func TestPath(t *testing.T) {
	tests := map[string]struct {
		reason          string
		namespace, name string
		want            string
	}{
		"Usual":   {reason: "the documented form", namespace: "shop", name: "orders", want: "/hooks/shop/orders"},
		"Hyphens": {reason: "names are not changed", namespace: "a-b", name: "c-d", want: "/hooks/a-b/c-d"},
		"Longest": {
			reason:    "63 characters each",
			namespace: strings.Repeat("n", 63), name: strings.Repeat("t", 63),
			want: "/hooks/" + strings.Repeat("n", 63) + "/" + strings.Repeat("t", 63),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := route.Route{Namespace: tc.namespace, Name: tc.name}
			if diff := cmp.Diff([]string{tc.want, tc.want}, []string{route.Path(tc.namespace, tc.name), r.Path()}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if !strings.HasPrefix(tc.want, route.Prefix) {
				t.Errorf("%s: %q does not begin with %q", tc.reason, tc.want, route.Prefix)
			}
		})
	}
	if route.Path("a", "bc") == route.Path("ab", "c") || route.Path("a-b", "c") == route.Path("a", "b-c") {
		t.Error("two triggers share a path")
	}
}

func TestTable(t *testing.T) {
	orders, refunds := newRoute("shop", "orders", 1), newRoute("shop", "refunds", 1)
	ordersAgain, others := newRoute("shop", "orders", 2), newRoute("other", "orders", 1)
	tests := map[string]struct {
		reason string
		do     func(table *route.Table)
		want   []*route.Route
		warm   bool
	}{
		"New": {
			reason: "a new table is empty and not warm",
			do:     func(*route.Table) {},
		},
		"ReplaceByNothing": {
			reason: "a cluster without triggers is served from too",
			do:     func(table *route.Table) { table.Replace(nil) },
			warm:   true,
		},
		"Replace": {
			reason: "the routes are all there",
			do:     func(table *route.Table) { table.Replace([]*route.Route{orders, refunds, others}) },
			want:   []*route.Route{orders, refunds, others},
			warm:   true,
		},
		"ReplaceDropsOthers": {
			reason: "what is not among them is gone",
			do: func(table *route.Table) {
				table.Replace([]*route.Route{orders, refunds})
				table.Replace([]*route.Route{others, ordersAgain})
			},
			want: []*route.Route{others, ordersAgain},
			warm: true,
		},
		"ReplaceAllByNothing": {
			reason: "nothing is left",
			do: func(table *route.Table) {
				table.Replace([]*route.Route{orders, refunds})
				table.Replace([]*route.Route{})
			},
			warm: true,
		},
		"ReplaceDropsUpserts": {
			reason: "routes that were upserted are dropped like others",
			do: func(table *route.Table) {
				table.Upsert(orders)
				table.Replace([]*route.Route{refunds})
			},
			want: []*route.Route{refunds},
			warm: true,
		},
		"ReplaceWithPathTwice": {
			reason: "the last one stays",
			do:     func(table *route.Table) { table.Replace([]*route.Route{orders, refunds, ordersAgain}) },
			want:   []*route.Route{refunds, ordersAgain},
			warm:   true,
		},
		"Upsert": {
			reason: "it does not make the table warm",
			do:     func(table *route.Table) { table.Upsert(orders) },
			want:   []*route.Route{orders},
		},
		"UpsertAgain": {
			reason: "the later takes the place of the earlier",
			do: func(table *route.Table) {
				table.Upsert(orders)
				table.Upsert(ordersAgain)
			},
			want: []*route.Route{ordersAgain},
		},
		"UpsertOfOlder": {
			reason: "the table does not compare versions",
			do: func(table *route.Table) {
				table.Upsert(ordersAgain)
				table.Upsert(orders)
			},
			want: []*route.Route{orders},
		},
		"UpsertOtherNamespace": {
			reason: "equal names in two namespaces are two routes",
			do: func(table *route.Table) {
				table.Upsert(orders)
				table.Upsert(others)
			},
			want: []*route.Route{orders, others},
		},
		"UpsertAfterReplace": {
			reason: "the rest stays",
			do: func(table *route.Table) {
				table.Replace([]*route.Route{orders, refunds})
				table.Upsert(ordersAgain)
				table.Upsert(others)
			},
			want: []*route.Route{ordersAgain, refunds, others},
			warm: true,
		},
		"Delete": {
			reason: "the rest stays",
			do: func(table *route.Table) {
				table.Replace([]*route.Route{orders, refunds})
				table.Delete("/hooks/shop/orders")
			},
			want: []*route.Route{refunds},
			warm: true,
		},
		"DeleteMissing": {
			reason: "there is nothing to do",
			do: func(table *route.Table) {
				table.Upsert(orders)
				for _, path := range []string{"", "/", "/hooks/shop", "/hooks/shop/refunds", "/hooks/shop/orders/", "shop/orders"} {
					table.Delete(path)
				}
			},
			want: []*route.Route{orders},
		},
		"DeleteFromEmpty": {
			reason: "there is nothing to do",
			do:     func(table *route.Table) { table.Delete("/hooks/shop/orders") },
		},
		"DeleteTwice": {
			reason: "there is nothing to do the second time",
			do: func(table *route.Table) {
				table.Upsert(orders)
				table.Delete("/hooks/shop/orders")
				table.Delete("/hooks/shop/orders")
			},
		},
		"UpsertAfterDelete": {
			reason: "a path can be used again",
			do: func(table *route.Table) {
				table.Upsert(orders)
				table.Delete("/hooks/shop/orders")
				table.Upsert(ordersAgain)
			},
			want: []*route.Route{ordersAgain},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			table := route.NewTable()
			tc.do(table)
			want := map[string]*route.Route{}
			for _, r := range tc.want {
				want[r.Path()] = r
			}
			wantContent(t, table, want)
			for _, r := range []*route.Route{orders, refunds, others} {
				if _, ok := table.Lookup(r.Path()); ok != (want[r.Path()] != nil) {
					t.Errorf("%s: Lookup of %s: %t", tc.reason, r.Path(), ok)
				}
			}
			if got := isWarm(table); got != tc.warm {
				t.Errorf("%s: warm %t, want %t", tc.reason, got, tc.warm)
			}
			if t.Failed() {
				t.Log(tc.reason)
			}
		})
	}
}

func TestTablesAreIndependent(t *testing.T) {
	a, b := route.NewTable(), route.NewTable()
	a.Upsert(newRoute("shop", "orders", 1))
	a.Replace(numbered(10, 1))
	wantContent(t, b, nil)
	if isWarm(b) {
		t.Error("a table has become warm by another's Replace")
	}
}

// TestPathIsExact asks for what looks like the path of a route and is not.
func TestPathIsExact(t *testing.T) {
	r := newRoute("shop", "orders", 1)
	table := route.NewTable()
	table.Replace([]*route.Route{r})
	if got, ok := table.Lookup("/hooks/shop/orders"); !ok || got != r {
		t.Fatalf("Lookup of the path itself: %v, %t", got, ok)
	}
	paths := []string{
		"", "/", "/hooks", "/hooks/", "/hooks/shop", "/hooks/shop/", "/hooks//orders", "hooks/shop/orders", "//hooks/shop/orders",
		"/hooks/shop/orders/", "/hooks/shop//orders", "/hooks/./shop/orders", "/hooks/shop/../shop/orders", "/hooks/shop/orders/.",
		"/hooks/shop/order", "/hooks/shop/orders2", "/hooks/shop/Orders", "/Hooks/shop/orders", "/HOOKS/SHOP/ORDERS",
		"/hooks/orders/shop", "/hooks/shop/orders?", "/hooks/shop/orders#", "/hooks/shop/orders;v=1", "/hooks/shop%2Forders",
		"/hooks/shop/%6frders", "/hooks/shop/orders ", " /hooks/shop/orders", "/hooks/shop/orders\x00", "/hooks/shop/orders\n",
		`\hooks\shop\orders`, "/hooks/shop/ord\u00aders", "http://example.com/hooks/shop/orders", "*", "/hooks/shop/orders/hooks/shop/orders",
	}
	for _, path := range paths {
		if got, ok := table.Lookup(path); ok || got != nil {
			t.Errorf("Lookup of %q: %v, %t, want nothing", path, got, ok)
		}
	}
	path := []byte("/hooks/shop/orders")
	for i := range path {
		for bit := range 8 {
			path[i] ^= 1 << bit
			if got, ok := table.Lookup(string(path)); ok || got != nil {
				t.Errorf("Lookup of %q: %v, %t, want nothing", path, got, ok)
			}
			path[i] ^= 1 << bit
		}
	}
}

func TestReplaceKeepsNoSlice(t *testing.T) {
	routes := numbered(100, 1)
	want := map[string]*route.Route{}
	for _, r := range routes {
		want[r.Path()] = r
	}
	table := route.NewTable()
	table.Replace(routes)
	clear(routes)
	wantContent(t, table, want)
}

func TestWarm(t *testing.T) {
	table := route.NewTable()
	warm := table.Warm()
	table.Upsert(newRoute("shop", "orders", 1))
	table.Delete("/hooks/shop/orders")
	if isWarm(table) {
		t.Error("warm before Replace")
	}
	table.Replace(numbered(1, 1))
	if !isWarm(table) {
		t.Error("not warm after Replace")
	}
	table.Replace(nil)
	table.Replace(numbered(1, 1))
	if !isWarm(table) || table.Warm() != warm {
		t.Error("later Replaces have changed the channel")
	}
}

// TestWarmMeansFilled has goroutines wait for the table to become warm: whoever is woken finds
// every route.
func TestWarmMeansFilled(t *testing.T) {
	routes := numbered(many, 1)
	for range 5 {
		table := route.NewTable()
		missing := make(chan int)
		for range 4 {
			go func() {
				n := 0
				<-table.Warm()
				for _, r := range routes {
					if _, ok := table.Lookup(r.Path()); !ok {
						n++
					}
				}
				missing <- n
			}()
		}
		table.Replace(routes)
		for range 4 {
			if n := <-missing; n != 0 {
				t.Errorf("the table is warm, but %d routes are not there", n)
			}
		}
	}
}

func TestAllStopsEarly(t *testing.T) {
	table := route.NewTable()
	table.Replace(numbered(many, 1))
	for _, want := range []int{1, 2, 1000} {
		got := 0
		for range table.All() {
			if got++; got == want {
				break
			}
		}
		if got != want {
			t.Errorf("%d routes, want %d", got, want)
		}
	}
}

// TestAllWhileWriting changes the table from inside the loop.
func TestAllWhileWriting(t *testing.T) {
	table := route.NewTable()
	routes := numbered(many, 1)
	table.Replace(routes)
	untouched := map[string]int{}
	n := 0
	for r := range table.All() {
		if strings.HasPrefix(r.Namespace, "team-") {
			untouched[r.Path()]++
		}
		if n++; n%10 == 0 && n <= many {
			table.Upsert(newRoute("new", fmt.Sprintf("trigger-%d", n), 1))
			table.Delete("/hooks/new/trigger-" + fmt.Sprint(n-10))
		}
	}
	for _, r := range routes {
		if untouched[r.Path()] != 1 {
			t.Errorf("%s, which was there all the time, was yielded %d times", r.Path(), untouched[r.Path()])
		}
	}
}

func TestManyRoutes(t *testing.T) {
	table := route.NewTable()
	want := map[string]*route.Route{}
	for _, r := range numbered(many, 1) {
		want[r.Path()] = r
	}
	table.Replace(slices.Collect(maps.Values(want)))
	wantContent(t, table, want)

	for i, r := range numbered(many, 2) {
		switch i % 3 {
		case 0:
			table.Upsert(r)
			want[r.Path()] = r
		case 1:
			table.Delete(r.Path())
			delete(want, r.Path())
		}
	}
	wantContent(t, table, want)
}

// TestRemovedRoutesAreFreed removes routes in each way and sees that nothing holds on to them: a
// route has keys in it, and a key that was revoked must not stay in memory for as long as the
// process lives.
func TestRemovedRoutesAreFreed(t *testing.T) {
	tests := map[string]struct {
		reason string
		fill   func(table *route.Table, routes []*route.Route)
		remove func(table *route.Table)
	}{
		"UpsertedThenDeleted": {
			reason: "the old copy of a shard is dropped",
			fill:   upsertAll,
			remove: func(table *route.Table) { table.Delete("/hooks/shop/orders") },
		},
		"UpsertedThenUpserted": {
			reason: "the old copy of a shard is dropped",
			fill:   upsertAll,
			remove: func(table *route.Table) { table.Upsert(newRoute("shop", "orders", 2)) },
		},
		"ReplacedThenDeleted": {
			reason: "what Replace filled a shard with is dropped with the shard's next copy, not with that of all shards",
			fill:   (*route.Table).Replace,
			remove: func(table *route.Table) { table.Delete("/hooks/shop/orders") },
		},
		"ReplacedThenUpserted": {
			reason: "what Replace filled a shard with is dropped with the shard's next copy, not with that of all shards",
			fill:   (*route.Table).Replace,
			remove: func(table *route.Table) { table.Upsert(newRoute("shop", "orders", 2)) },
		},
		"ReplacedTwice": {
			reason: "nothing of the former content is left",
			fill:   (*route.Table).Replace,
			remove: func(table *route.Table) { table.Replace(numbered(100, 2)) },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			table := route.NewTable()
			removed := fillWith(table, tc.fill)
			if runtime.GC(); removed.Value() == nil {
				t.Fatalf("%s: the route is gone before it is removed", tc.reason)
			}
			tc.remove(table)
			if runtime.GC(); removed.Value() != nil {
				t.Errorf("%s: the route is removed, but still in memory", tc.reason)
			}
			runtime.KeepAlive(table)
		})
	}
}

// fillWith fills the table with shop/orders among others, and keeps no reference to it.
//
//go:noinline
func fillWith(table *route.Table, fill func(*route.Table, []*route.Route)) weak.Pointer[route.Route] {
	orders := newRoute("shop", "orders", 1)
	fill(table, append(numbered(100, 1), orders))
	return weak.Make(orders)
}

func upsertAll(table *route.Table, routes []*route.Route) {
	for _, r := range routes {
		table.Upsert(r)
	}
}

// TestAgainstMap does the same at random to a table and to a map.
func TestAgainstMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence in each run
	table, model := route.NewTable(), map[string]*route.Route{}
	warm := false
	for step := range 20_000 {
		r := newRoute(fmt.Sprintf("team-%d", random.IntN(10)), fmt.Sprintf("trigger-%d", random.IntN(1000)), step)
		switch n := random.IntN(10_000); {
		case n < 5:
			routes := make([]*route.Route, random.IntN(8000))
			clear(model)
			for i := range routes {
				routes[i] = newRoute(fmt.Sprintf("team-%d", random.IntN(10)), fmt.Sprintf("trigger-%d", random.IntN(1000)), step)
				model[routes[i].Path()] = routes[i]
			}
			table.Replace(routes)
			warm = true
			wantContent(t, table, model)
		case n < 6000:
			table.Upsert(r)
			model[r.Path()] = r
		default:
			table.Delete(r.Path())
			delete(model, r.Path())
		}
		got, ok := table.Lookup(r.Path())
		want, wantOK := model[r.Path()]
		if got != want || ok != wantOK {
			t.Fatalf("step %d, Lookup of %s: %+v, %t, want %+v, %t", step, r.Path(), got, ok, want, wantOK)
		}
		if isWarm(table) != warm {
			t.Fatalf("step %d: warm %t, want %t", step, isWarm(table), warm)
		}
	}
	if !warm {
		t.Error("there was no Replace among the steps")
	}
	wantContent(t, table, model)
}

// consistent fails unless the fields of a route are all of one version, and returns the version.
func consistent(tb testing.TB, r *route.Route) int {
	tb.Helper()
	if want := (route.Route{Namespace: r.Namespace, Name: r.Name, UID: r.UID, Flow: r.UID, Unavailable: r.UID, Revision: r.UID}); cmp.Diff(want, *r, cmpopts.IgnoreUnexported(route.Route{})) != "" {
		tb.Errorf("a route of two versions: %+v", *r)
	}
	version, err := strconv.Atoi(strings.TrimPrefix(r.UID, "version "))
	if err != nil {
		tb.Errorf("route %+v: %v", r, err)
	}
	return version
}

// TestReadersAndWriters has readers look on while several writers change one path each, among many.
// A reader finds a route that was put there before its lookup began, or a later one, whole.
func TestReadersAndWriters(t *testing.T) {
	const writers, readers, versions = 4, 4, 500
	table := route.NewTable()
	bystanders := numbered(many, 0)
	table.Replace(bystanders)

	type path struct {
		name      string
		began     atomic.Int64 // the version that is being written
		completed atomic.Int64 // the version that is written
	}
	paths := make([]*path, writers)
	for i := range paths {
		paths[i] = &path{name: fmt.Sprintf("orders-%d", i)}
		table.Upsert(newRoute("shop", paths[i].name, 0))
	}
	var writing, reading sync.WaitGroup
	for _, p := range paths {
		writing.Go(func() {
			for version := 1; version <= versions; version++ {
				p.began.Store(int64(version))
				table.Upsert(newRoute("shop", p.name, version))
				p.completed.Store(int64(version))
				// Passes through the same shards as what else is going on.
				temporary := newRoute("temporary", fmt.Sprintf("%s-%d", p.name, version), version)
				table.Upsert(temporary)
				if got, ok := table.Lookup(temporary.Path()); !ok || got != temporary {
					t.Errorf("%s is not there after Upsert", temporary.Path())
				}
				table.Delete(temporary.Path())
				if _, ok := table.Lookup(temporary.Path()); ok {
					t.Errorf("%s is there after Delete", temporary.Path())
				}
			}
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	for reader := range readers {
		reading.Go(func() {
			seen := make([]int, writers)
			for i := 0; ctx.Err() == nil; i++ {
				p := paths[(i+reader)%writers]
				oldest := int(p.completed.Load())
				r, ok := table.Lookup(route.Path("shop", p.name))
				newest := int(p.began.Load())
				if !ok {
					t.Errorf("%s was not there for a moment", p.name)
					return
				}
				version := consistent(t, r)
				if version < max(oldest, seen[(i+reader)%writers]) || version > newest {
					t.Errorf("%s: version %d, want from %d (and from %d, seen before) to %d",
						p.name, version, oldest, seen[(i+reader)%writers], newest)
					return
				}
				seen[(i+reader)%writers] = version

				bystander := bystanders[(i*7+reader)%many]
				if got, ok := table.Lookup(bystander.Path()); !ok || got != bystander {
					t.Errorf("%s, which nobody touches: %+v, %t", bystander.Path(), got, ok)
					return
				}
				if _, ok := table.Lookup("/hooks/shop/nothing"); ok {
					t.Error("a route where none was put")
					return
				}
				if i%50 == 0 {
					found := 0
					for r := range table.All() {
						if r.Namespace == "shop" {
							consistent(t, r)
							found++
						}
					}
					if found != writers {
						t.Errorf("All yields %d of %d routes that are there all the time", found, writers)
						return
					}
				}
			}
		})
	}
	writing.Wait()
	stop()
	reading.Wait()
	want := map[string]*route.Route{}
	for _, r := range bystanders {
		want[r.Path()] = r
	}
	for i := range writers {
		r, ok := table.Lookup(route.Path("shop", fmt.Sprintf("orders-%d", i)))
		if !ok || consistent(t, r) != versions {
			t.Errorf("orders-%d at the end: %+v, %t", i, r, ok)
			continue
		}
		want[r.Path()] = r
	}
	wantContent(t, table, want)
}

// TestReadersAndReplace has readers look on while the whole table is replaced, again and again:
// what is in both the former and the next content is never missing.
func TestReadersAndReplace(t *testing.T) {
	const readers, versions, kept = 4, 50, 500
	table := route.NewTable()
	content := func(version int) []*route.Route {
		return append(numbered(kept, version), newRoute("only", fmt.Sprintf("in-%d", version), version))
	}
	table.Replace(content(0))
	var began, completed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	for reader := range readers {
		reading.Go(func() {
			seen := make([]int, kept)
			for i := reader; ctx.Err() == nil; i = (i + 1) % kept {
				oldest := int(completed.Load())
				r, ok := table.Lookup(route.Path(fmt.Sprintf("team-%d", i%100), fmt.Sprintf("trigger-%d", i)))
				newest := int(began.Load())
				if !ok {
					t.Errorf("trigger-%d was not there for a moment", i)
					return
				}
				version := consistent(t, r)
				if version < max(oldest, seen[i]) || version > newest {
					t.Errorf("trigger-%d: version %d, want from %d (and from %d, seen before) to %d", i, version, oldest, seen[i], newest)
					return
				}
				seen[i] = version
			}
		})
	}
	for version := 1; version <= versions; version++ {
		began.Store(int64(version))
		table.Replace(content(version))
		completed.Store(int64(version))
		if _, ok := table.Lookup(route.Path("only", fmt.Sprintf("in-%d", version-1))); ok {
			t.Errorf("a route of version %d is there after the Replace of version %d", version-1, version)
		}
	}
	stop()
	reading.Wait()
}

// TestWritersOfOneShard has many writers of many different paths: none may lose what another writes
// to its shard.
func TestWritersOfOneShard(t *testing.T) {
	const writers = 8
	table := route.NewTable()
	routes := numbered(many, 1)
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := writer; i < many; i += writers {
				table.Upsert(routes[i])
			}
			for i := writer; i < many; i += 2 * writers {
				table.Delete(routes[i].Path())
			}
		})
	}
	group.Wait()
	want := map[string]*route.Route{}
	for i, r := range routes {
		if i/writers%2 == 1 {
			want[r.Path()] = r
		}
	}
	wantContent(t, table, want)
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := route.NewTable()
	table.Replace(numbered(1000, 1))
	verifier, err := signature.NewVerifier(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: "k", Secret: []byte("k")})
	if err != nil {
		t.Fatal(err)
	}
	table.Upsert(&route.Route{Namespace: "shop", Name: "orders", Verifier: verifier})
	tests := map[string]struct {
		reason string
		path   string
		want   bool
	}{
		"Found":   {reason: "every request does it", path: "/hooks/shop/orders", want: true},
		"Missing": {reason: "anybody can ask for what is not there", path: "/hooks/shop/nothing"},
		"Long":    {reason: "anybody can ask for a long path", path: strings.Repeat("/hooks", 1000)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ok := false
			if n := testing.AllocsPerRun(200, func() { _, ok = table.Lookup(tc.path) }); n != 0 || ok != tc.want {
				t.Errorf("%s: %v allocations, found %t, want 0 and %t", tc.reason, n, ok, tc.want)
			}
		})
	}
}
