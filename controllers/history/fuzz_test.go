/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// FuzzTable reads tables with anything in the places that others can write: annotations, statuses,
// names of columns. Whatever they say, a run that has not begun or has finished is not kept for
// good, and not deleted for a time that cannot be.
func FuzzTable(f *testing.F) {
	for _, cells := range []string{
		`["orders-1",null,"import",2,null,null,null,null]`,
		`["orders-1","2026-01-31T12:30:00Z","import",0,"Dropped","True","Done","2026-01-31T12:00:01Z"]`,
		`["orders-1","9999-12-31T23:59:59Z","import",2,"Stored","False",null,null]`,
		`["orders-1","yesterday",7,"2",true,{},[],1e999]`,
		`["orders-1"]`,
	} {
		for _, annotation := range []string{"2026-01-31T13:00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59", "never"} {
			f.Add([]byte(strings.Replace(tableOf(allColumns, cells), "2026-01-31T13:00:00Z", annotation, 1)))
		}
	}
	f.Add([]byte(tableOf(`[{"name":"Name"}]`, `[]`)))
	f.Add([]byte(`{"columnDefinitions":` + allColumns + `,"rows":[{"cells":["orders-1","yesterday"]}]}`)) // of no creation either
	f.Add([]byte(`{"rows":[{}],"columnDefinitions":` + allColumns + `}`))
	f.Add([]byte(`{"columnDefinitions":` + allColumns + `,"rows":[{"object":{"metadata":{"deletionTimestamp":"2026-01-31T12:00:00Z"}}},null]}`))
	now := noon.Add(time.Hour)
	f.Fuzz(func(t *testing.T, table []byte) {
		_, err := decodeTable(bytes.NewReader(table), now, func(r *run) {
			latest := now
			if r.created.After(now) {
				latest = r.created
			}
			if !slices.Contains(states, r.state) {
				t.Errorf("a run is %q", r.state)
			}
			if r.retainUntil.After(r.created.Add(sluicev1alpha1.MaxRetention)) {
				t.Errorf("a run of %s is retained until %s", r.created, r.retainUntil)
			}
			if r.over() && (r.finished.Before(r.created) || r.finished.After(latest)) || !r.over() && !r.finished.IsZero() {
				t.Errorf("a run of %s that is %s has finished at %s, and now is %s", r.created, r.state, r.finished, now)
			}
			end := latest.Add(sluicev1alpha1.MaxRetention + defaultLimits.finished)
			if why := defaultLimits.expired(r, end); (why == "") != (r.state == active || r.state == deleting) {
				t.Errorf("a run of %s that is %s is deleted for %q at %s", r.created, r.state, why, end)
			}
		})
		if invalid := json.NewDecoder(bytes.NewReader(table)).Decode(new(json.RawMessage)); err == nil && invalid != nil {
			t.Errorf("what is no JSON is read to its end: %v", invalid)
		}
	})
}
