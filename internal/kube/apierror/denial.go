/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package apierror

import "regexp"

// denial matches the beginning of a message only: what users wrote may stand anywhere else.
var denial = regexp.MustCompile(`^(?:[^:]* ?forbidden: )?` +
	`((?:admission webhook "[^"]+"|ValidatingAdmissionPolicy '[^']+'(?: with binding '[^']+')?) denied)`)

// AdmissionDenial returns how the API server begins to say that a policy or webhook denied a
// request, or nothing if the message says no such thing. There is no reason or cause that tells a
// denial by policy from one for want of permission or quota. What follows in the message can quote
// the object, and what is returned cannot.
func AdmissionDenial(message string) string {
	if m := denial.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}
