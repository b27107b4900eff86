/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"strconv"
	"time"
)

// Unit is how a timestamp is written.
type Unit string

// The units.
const (
	Seconds      Unit = "Seconds"      // since 1970, in decimal digits
	Milliseconds Unit = "Milliseconds" // since 1970, in decimal digits
	RFC3339      Unit = "RFC3339"      // a date and time with a zone, such as 2026-01-01T00:00:00Z
)

// maxTimestampDigits leaves room to multiply by 1000.
const maxTimestampDigits = 15

// parse returns the time that the text stands for. It takes digits only: no sign, no fraction, no blanks.
func (u Unit) parse(text string) (time.Time, bool) {
	if u == RFC3339 {
		t, err := time.Parse(time.RFC3339, text)
		return t, err == nil
	}
	if len(text) == 0 || len(text) > maxTimestampDigits {
		return time.Time{}, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return time.Time{}, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if u == Milliseconds {
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}

// check returns why a timestamp is not fresh, or "". Exactly the tolerance is fresh, in both directions.
func (t Timestamp) check(text string, now time.Time) Cause {
	at, ok := t.Unit.parse(text)
	if !ok {
		return ErrTimestampMalformed
	}
	if t.Tolerance == 0 {
		return ""
	}
	switch age := now.Sub(at); { // saturates
	case age > t.Tolerance:
		return ErrTimestampStale
	case age < -t.Tolerance:
		return ErrTimestampFuture
	}
	return ""
}
