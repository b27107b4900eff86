/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package apierror

import "regexp"

var denial = regexp.MustCompile(`(?:admission webhook "[^"]+"|ValidatingAdmissionPolicy '[^']+' with binding '[^']+') denied`)

// AdmissionDenial returns how the API server begins to say that a policy or webhook refused a request, or nothing if the message says
// no such thing. There is no reason or cause that tells a refusal by policy from one for want of permission or quota. What
// follows in the message can quote the object, and what is returned cannot.
func AdmissionDenial(message string) string { return denial.FindString(message) }
