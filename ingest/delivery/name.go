/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

const (
	// maxNameLength is that of a label value and of a pod's host name, so that a run's name can
	// become either.
	maxNameLength = 63
	// suffixLength is 10 characters of time and 10 of chance, or 20 of a hash.
	suffixLength = 20
)

// suffixEncoding is base32 with an alphabet in the order of its values, as base32hex (RFC 4648,
// section 7) but lower case: encoded numbers of equal length sort like the numbers.
var suffixEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// name returns the name of a delivery's FlowRun: <trigger>-<suffix>, at most 63 characters.
func name(d *Delivery, identity Identity) string {
	switch identity {
	case ByID:
		return repeatableName(d.Trigger, d.ID, nil)
	case ByIDAndBody:
		return repeatableName(d.Trigger, d.ID, &d.Digest)
	case Unique:
	}
	return uniqueName(d.Trigger.Name, d.ReceivedAt)
}

// uniqueName returns a name that no other run has. Its suffix sorts by time, to the millisecond,
// until the year 10889. Two names of one trigger and one millisecond are equal with a chance of
// 2^-52.
func uniqueName(trigger string, now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16) // before 1970 it only sorts wrongly
	_, _ = rand.Read(raw[6:])                                        // never fails, see crypto/rand
	return runName(trigger, raw[:])
}

// repeatableName returns the name that every request of a delivery has. Its suffix is 100 bits of
// the SHA-256 of the trigger's UID, the id, and the digest of the body if that is to be the same
// too. A trigger that is made anew begins anew.
func repeatableName(trigger Trigger, id string, body *[sha256.Size]byte) string {
	h := sha256.New()
	h.Write([]byte(trigger.UID))
	// No UID has one of these bytes, so no two inputs run together, of one form or of both.
	if body == nil {
		h.Write([]byte{0})
	} else {
		h.Write([]byte{1})
		h.Write(body[:])
	}
	h.Write([]byte(id))
	return runName(trigger.Name, h.Sum(nil))
}

func runName(trigger string, raw []byte) string {
	const room = maxNameLength - suffixLength - 1
	if len(trigger) > room {
		trigger = strings.TrimRight(trigger[:room], "-")
	}
	return trigger + "-" + suffixEncoding.EncodeToString(raw)[:suffixLength]
}
