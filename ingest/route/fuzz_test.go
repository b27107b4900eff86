/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route_test

import (
	"fmt"
	"testing"

	"github.com/sluice-dev/sluice/ingest/route"
)

// FuzzTable reads its input as a list of operations, two bytes each, and does them to a table and
// to a map.
func FuzzTable(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0, 1, 1, 1})
	f.Add([]byte{0, 1, 2, 3, 1, 2})
	f.Add([]byte{2, 0, 0, 5, 2, 0})
	f.Add([]byte{0, 200, 2, 255, 1, 0, 1, 254, 0, 254, 3, 254})
	f.Fuzz(func(t *testing.T, operations []byte) {
		table, model := route.NewTable(), map[string]*route.Route{}
		warm := false
		for step := 0; step+1 < len(operations) && step < 200; step += 2 {
			n := int(operations[step+1])
			r := newRoute(fmt.Sprint("team-", n%4), fmt.Sprint("trigger-", n/4), step)
			switch operations[step] % 4 {
			case 0:
				table.Upsert(r)
				model[r.Path()] = r
			case 1:
				table.Delete(r.Path())
				delete(model, r.Path())
			case 2:
				var routes []*route.Route
				clear(model)
				for i := range n {
					// Some paths come twice.
					r := newRoute(fmt.Sprint("team-", i%4), fmt.Sprint("trigger-", i/8), step+i)
					routes = append(routes, r)
					model[r.Path()] = r
				}
				table.Replace(routes)
				warm = true
			case 3:
				got, ok := table.Lookup(r.Path())
				want, wantOK := model[r.Path()]
				if got != want || ok != wantOK {
					t.Fatalf("step %d, Lookup of %s: %+v, %t, want %+v, %t", step, r.Path(), got, ok, want, wantOK)
				}
			}
			if isWarm(table) != warm {
				t.Fatalf("step %d: warm %t, want %t", step, isWarm(table), warm)
			}
		}
		wantContent(t, table, model)
	})
}

// FuzzPath puts one route into a table and looks for any path: found is that of the route alone.
func FuzzPath(f *testing.F) {
	f.Add("shop", "orders", "/hooks/shop/orders")
	f.Add("shop", "orders", "/hooks/shop/orders/")
	f.Add("shop", "orders", "/hooks/shop/Orders")
	f.Add("", "", "/hooks//")
	f.Add("a", "b-c", "/hooks/a/b-c\x00")
	f.Fuzz(func(t *testing.T, namespace, name, path string) {
		r := &route.Route{Namespace: namespace, Name: name}
		table := route.NewTable()
		table.Upsert(r)
		if got, ok := table.Lookup(r.Path()); !ok || got != r {
			t.Errorf("Lookup of the route's path %q: %v, %t", r.Path(), got, ok)
		}
		if _, ok := table.Lookup(path); ok != (path == "/hooks/"+namespace+"/"+name) {
			t.Errorf("Lookup of %q where there is %q: %t", path, r.Path(), ok)
		}
	})
}
