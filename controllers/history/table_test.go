/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package history

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tableOf is a table as the API server writes it, of one run.
func tableOf(columns string, cells string) string {
	return `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7","continue":"next"},
		"columnDefinitions":` + columns + `,"rows":[{"cells":` + cells + `,"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",
		"metadata":{"name":"orders-1","namespace":"shop","uid":"u","resourceVersion":"5","creationTimestamp":"2026-01-31T12:00:00Z",
		"managedFields":[{"manager":"sluice"}],"annotations":{"sluice.dev/retain-until":"2026-01-31T13:00:00Z","a":"b"}}}}]}`
}

const allColumns = `[{"name":"Name"},{"name":"Completed"},{"name":"Flow"},{"name":"Size"},{"name":"Payload"},{"name":"Succeeded"},{"name":"Condition"},{"name":"Started"}]`

// TestTable reads tables as an API server may write them.
func TestTable(t *testing.T) {
	t.Parallel()
	good := run{
		namespace: "shop", name: "orders-1", uid: "u", resourceVersion: "5", flow: "import", state: received,
		created: noon, retainUntil: noon.Add(time.Hour), payload: true,
	}
	with := func(change func(*run)) []run {
		r := good
		change(&r)
		return []run{r}
	}
	finished := noon.Add(time.Minute)
	cases := map[string]struct {
		reason string
		table  string
		want   []run
		next   string
		err    string
	}{
		"Received": {
			reason: "a run without a status", table: tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`), want: []run{good}, next: "next",
		},
		"Started": {
			reason: "somebody has begun", table: tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,"2026-01-31T12:00:01Z"]`),
			want: with(func(r *run) { r.state = active }), next: "next",
		},
		"Condition": {
			reason: "somebody has taken it in hand", table: tableOf(allColumns, `["orders-1",null,"import",2,null,null,"Queued",null]`),
			want: with(func(r *run) { r.state = active }), next: "next",
		},
		"Concluded": {
			reason: "the end of it is not known yet", table: tableOf(allColumns, `["orders-1",null,"import",2,null,"True",null,null]`),
			want: with(func(r *run) { r.state = active }), next: "next",
		},
		"Succeeded": {
			reason: "it has finished", table: tableOf(allColumns, `["orders-1","2026-01-31T12:01:00Z","import",2,null,"True","Succeeded",null]`),
			want: with(func(r *run) { r.state, r.finished = succeeded, finished }), next: "next",
		},
		"Failed": {
			reason: "it has finished otherwise", table: tableOf(allColumns, `["orders-1","2026-01-31T12:01:00Z","import",2,null,"False","Succeeded",null]`),
			want: with(func(r *run) { r.state, r.finished = failed, finished }), next: "next",
		},
		"Inconclusive": {
			reason: "what has not succeeded has failed", table: tableOf(allColumns, `["orders-1","2026-01-31T12:01:00Z","import",2,null,"Unknown","Succeeded",null]`),
			want: with(func(r *run) { r.state, r.finished = failed, finished }), next: "next",
		},
		"NoConclusion": {
			reason: "what has not succeeded has failed", table: tableOf(allColumns, `["orders-1","2026-01-31T12:01:00Z","import",2,null,null,null,null]`),
			want: with(func(r *run) { r.state, r.finished = failed, finished }), next: "next",
		},
		"Dropped": {
			reason: "the payload is gone", table: tableOf(allColumns, `["orders-1",null,"import",2,"Dropped",null,null,null]`),
			want: with(func(r *run) { r.payload = false }), next: "next",
		},
		"Stored": {
			reason: "the payload is there", table: tableOf(allColumns, `["orders-1",null,"import",2,"Stored",null,null,null]`), want: []run{good}, next: "next",
		},
		"Empty": {
			reason: "there was no payload", table: tableOf(allColumns, `["orders-1",null,"import",0,null,null,null,null]`),
			want: with(func(r *run) { r.payload = false }), next: "next",
		},
		"Deleting": {
			reason: "it is on its way out",
			table:  strings.Replace(tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`), `"creation`, `"deletionTimestamp":"2026-01-31T12:00:09Z","creation`, 1),
			want:   with(func(r *run) { r.state = deleting }), next: "next",
		},
		"NoAnnotation": {
			reason: "it is the memory of no delivery",
			table:  strings.Replace(tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`), "sluice.dev/retain-until", "other", 1),
			want:   with(func(r *run) { r.retainUntil = time.Time{} }), next: "next",
		},
		"MalformedAnnotation": {
			reason: "it was the memory of one",
			table:  strings.Replace(tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`), "2026-01-31T13:00:00Z", "never", 1),
			want:   with(func(r *run) { r.retainUntil = noon.Add(day) }), next: "next",
		},
		"LastPage": {
			reason: "there is no other", table: strings.Replace(tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`), `"continue":"next"`, `"a":{"b":[1]}`, 1),
			want: []run{good},
		},
		"NoRows":   {reason: "there are no runs", table: `{"metadata":{},"columnDefinitions":` + allColumns + `,"rows":[]}`},
		"NullRows": {reason: "there are no runs", table: `{"metadata":{},"columnDefinitions":` + allColumns + `,"rows":null}`},
		"ShortRow": {reason: "a cell that is not there has no value", table: tableOf(allColumns, `["orders-1",null,"import"]`), want: []run{good}, next: "next"},

		"OldColumns": {
			reason: "without the columns nothing is known", table: tableOf(`[{"name":"Name"},{"name":"Flow"},{"name":"Size"}]`, `["orders-1","import",2]`),
			next: "next", err: `no columns ["Payload" "Succeeded" "Condition" "Started" "Completed"]`,
		},
		"NoColumns":     {reason: "without the columns nothing is known", table: `{"rows":[{"cells":[]}]}`, err: "no columns"},
		"NotATable":     {reason: "another kind of answer", table: `["a"]`, err: errTable.Error()},
		"RowsOfAnother": {reason: "another kind of answer", table: `{"columnDefinitions":` + allColumns + `,"rows":{}}`, err: errTable.Error()},
		"Text":          {reason: "a proxy's answer", table: `<html>`, err: "invalid character"},
		"Nothing":       {reason: "an answer without a body", table: ``, err: "EOF"},
		"CutOff":        {reason: "the connection broke", table: tableOf(allColumns, `["orders-1",null,"import",2,null,null,null,null]`)[:400], next: "next", err: "unexpected EOF"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []run
			next, err := decodeTable(strings.NewReader(tc.table), noon.Add(time.Hour), func(r *run) { got = append(got, *r) })
			if (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s: the error is %v, want %q", tc.reason, err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(run{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if next != tc.next {
				t.Errorf("%s: the next page is %q, want %q", tc.reason, next, tc.next)
			}
		})
	}
}
