/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"regexp"
	"strings"
	"unicode/utf8"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
)

// response makes of spec.response what a route holds.
//
// A content type that the API server would refuse by now is passed over, with a remark: text is
// what no browser runs. The sender gets the same status and body as ever, since a sender that takes
// the answer for a failure may stop sending.
func response(r sluicev1alpha1.Response) (made route.Response, remark string) {
	made.EmptyUnauthorized = r.UnauthorizedBody == sluicev1alpha1.UnauthorizedEmpty
	if r.Status == 0 && r.Body == "" {
		return made, ""
	}
	made.Override = true
	made.Status = int(r.Status)
	made.Body = []byte(r.Body)
	made.ContentType = r.ContentType
	if r.ContentType != "" && !inert(r.ContentType) {
		made.ContentType = ""
		remark = "spec.response.contentType is one that browsers could run, so the body is sent as text/plain; choose another type, such as application/json."
	}
	if made.ContentType == "" && r.Body != "" {
		made.ContentType = "text/plain; charset=utf-8"
	}
	return made, remark
}

// inert says whether a content type is one that the API has for answers, see inertType.
func inert(contentType string) bool {
	for i := range len(contentType) {
		if contentType[i] >= utf8.RuneSelf { // some of these have an ASCII letter for their lower case
			return false
		}
	}
	return inertType.MatchString(strings.ToLower(contentType))
}

// inertType is the expression by which the API refuses content types that browsers may run, for
// lower case. XML is left to the policy that every answer has.
var inertType = regexp.MustCompile(`^(text/(plain|xml)|application/(([-!#$&^_.+0-9a-z]+[+])?json|xml|x-www-form-urlencoded|octet-stream))( *; *[-_.0-9a-z]+=[-_.0-9a-z]+)*$`)
