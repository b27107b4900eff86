/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import (
	"strconv"
	"strings"
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

// parse returns the time that the text stands for. It takes digits only: no sign, no fraction, no
// blanks, and no zeros in front, with which there would be many ways to write one time.
func (u Unit) parse(text string) (time.Time, bool) {
	if u == RFC3339 {
		t, err := time.Parse(time.RFC3339, text)
		// It takes an hour of one digit and a comma too, which RFC 3339 does not have.
		return t, err == nil && text[len("2006-01-02T15")] == ':' && !strings.Contains(text, ",")
	}
	if len(text) == 0 || len(text) > maxTimestampDigits || len(text) > 1 && text[0] == '0' {
		return time.Time{}, false
	}
	for i := range len(text) {
		if !isDigit(text[i]) {
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

// format writes a time.
func (u Unit) format(at time.Time) string {
	switch u {
	case Milliseconds:
		return strconv.FormatInt(at.UnixMilli(), 10)
	case RFC3339:
		return at.UTC().Format(time.RFC3339)
	default:
		return strconv.FormatInt(at.Unix(), 10)
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// digits returns how many a time from September 2001 to November 2286 has; 0 if it is not written
// in digits.
func (u Unit) digits() int {
	switch u {
	case Milliseconds:
		return 13
	case RFC3339:
		return 0
	default:
		return 10
	}
}

// check returns why a timestamp is not fresh, or "". Exactly the tolerance is fresh, in both
// directions.
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
