/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"testing"
)

// TestReadSettings shows what can be set, and what is said of what cannot.
func TestReadSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environment map[string]string
		want        settings
		wantError   string
	}{
		"defaults": {want: settings{cluster: clusterEmbedded, ingestPort: 8080}},
		"everything": {
			environment: map[string]string{clusterVariable: "current", ingestPortVariable: "9090", apiPortVariable: "6443"},
			want:        settings{cluster: clusterCurrent, ingestPort: 9090, apiPort: 6443},
		},
		"free ports": {
			environment: map[string]string{ingestPortVariable: "0", apiPortVariable: "0"},
			want:        settings{cluster: clusterEmbedded},
		},
		"unknown cluster": {
			environment: map[string]string{clusterVariable: "kind"},
			wantError:   `QUICKSTART_CLUSTER must be embedded or current, not "kind"`,
		},
		"no number": {
			environment: map[string]string{ingestPortVariable: "http"},
			wantError:   `QUICKSTART_INGEST_PORT must be a port from 1 to 65535, or 0 for a free one, not "http"`,
		},
		"too large": {
			environment: map[string]string{apiPortVariable: "65536"},
			wantError:   `QUICKSTART_API_PORT must be a port from 1 to 65535, or 0 for a free one, not "65536"`,
		},
		"negative": {
			environment: map[string]string{apiPortVariable: "-1"},
			wantError:   `QUICKSTART_API_PORT must be a port from 1 to 65535, or 0 for a free one, not "-1"`,
		},
		"twice the same": {
			environment: map[string]string{apiPortVariable: "8080"},
			wantError:   "QUICKSTART_INGEST_PORT and QUICKSTART_API_PORT are both 8080; choose different ports",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readSettings(func(variable string) string { return test.environment[variable] })
			if test.wantError != "" {
				if err == nil || err.Error() != test.wantError {
					t.Errorf("the error is %v, want %s", err, test.wantError)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

// TestQuote shows that a key may hold whatever a shell would take for something else.
func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "''",
		"bin/kubectl": "bin/kubectl",
		"two words":   "'two words'",
		"a$b":         "'a$b'",
		"it's":        `'it'\''s'`,
	} {
		if got := quote(text); got != want {
			t.Errorf("quote(%q) is %s, want %s", text, got, want)
		}
	}
}
