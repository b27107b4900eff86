/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObject(t *testing.T) {
	o := newObject(0)
	o.text("left out", "")
	o.begin("empty")
	o.end()
	o.begin("first")
	o.text("a", `"\`+"\n\r\t\x00\x1f\x7f/<é\u2028🦀")
	o.rawText("b", []byte("\b\f"))
	o.rawText("left out", nil)
	o.end()
	o.base64("c", []byte{0xff, 0xfe, 0xfd, 0xfc})
	o.number("d", -1)
	o.end()
	const want = `{"empty":{},"first":{"a":"\"\\\n\r\t\u0000\u001f` + "\x7f/<é\u2028🦀" + `","b":"\b\f"},"c":"//79/A==","d":-1}`
	if diff := cmp.Diff(want, string(o)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !json.Valid(o) {
		t.Errorf("%s is not JSON", o)
	}
}
