/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package translation

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/test/framework/testenv"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		given  sluicev1alpha1.Response
		want   route.Response
		remark bool
	}{
		"Absent":  {reason: "the answer of all"},
		"Problem": {reason: "the default, spelt out", given: sluicev1alpha1.Response{UnauthorizedBody: sluicev1alpha1.UnauthorizedProblem}},
		"Empty": {
			reason: "a 401 says nothing of what is accepted", given: sluicev1alpha1.Response{UnauthorizedBody: sluicev1alpha1.UnauthorizedEmpty},
			want: route.Response{EmptyUnauthorized: true},
		},
		"Status": {reason: "no body", given: sluicev1alpha1.Response{Status: 204}, want: route.Response{Override: true, Status: 204, Body: []byte{}}},
		"Body": {
			reason: "text in UTF-8", given: sluicev1alpha1.Response{Body: "ok"},
			want: route.Response{Override: true, Body: []byte("ok"), ContentType: "text/plain; charset=utf-8"},
		},
		"All": {
			reason: "as it is given", given: sluicev1alpha1.Response{Status: 201, Body: "{}", ContentType: "application/json", UnauthorizedBody: sluicev1alpha1.UnauthorizedEmpty},
			want: route.Response{Override: true, Status: 201, Body: []byte("{}"), ContentType: "application/json", EmptyUnauthorized: true},
		},
		"HTML": {
			reason: "stored before it was refused: the sender gets what it always got, and a browser gets text", remark: true,
			given: sluicev1alpha1.Response{Status: 201, Body: "<script>alert(1)</script>", ContentType: "text/html"},
			want:  route.Response{Override: true, Status: 201, Body: []byte("<script>alert(1)</script>"), ContentType: "text/plain; charset=utf-8"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := testTrigger().Spec
			spec.Response = tc.given
			got := translated(t, spec)
			if diff := cmp.Diff(tc.want, got.Route.Response); diff != "" {
				t.Errorf("%s: the response of the route (-want +got):\n%s", tc.reason, diff)
			}
			if said := strings.Join(got.Remarks, " "); strings.Contains(said, "spec.response.contentType") != tc.remark {
				t.Errorf("%s: the remarks are %q", tc.reason, said)
			}
		})
	}
}

// TestInertTypes shows which content types a body can have: none in which a browser would run
// something, whatever it makes of the text.
func TestInertTypes(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"text/plain", "Text/Plain", "text/plain; charset=utf-8", "text/plain;charset=UTF-8", "application/json", "application/json ; version=1; a_b=c.d",
		"application/vnd.example+json", "application/problem+json", "text/xml", "application/xml", "application/x-www-form-urlencoded", "application/octet-stream",
	} {
		if !inert(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"text/html", "TEXT/HTML", "text/html; charset=utf-8", "application/xhtml+xml", "image/svg+xml", "application/rss+xml", "application/mathml+xml", "text/xsl",
		"text/javascript", "application/javascript", "text/css", "application/pdf", "multipart/form-data", "multipart/x-mixed-replace", "message/rfc822", "image/png",
		"a/b", "text/plain, text/html", "text/plain;,text/html", "text/plain; a=\",text/html", "text/plain; a=b,text/html", "text/plain\r\nX-A: b", "text/plain\n",
		" text/plain", "text/plain ", "text/plain;", "text/plain; a", "text/plain; a=", `text/plain; a="b"`, "application/+json", "application/json+xml",
		"application/j\u017fon", "te\u212at/plain", "application/\u212a+json", "+json", "json", "*/*", "application/unknown",
	} {
		if inert(bad) {
			t.Errorf("%q is good enough", bad)
		}
	}

	t.Log("and the API has the same expression")
	raw, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "crd", "bases", "sluice.dev_webhooktriggers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := yaml.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(texts(definition), "self.lowerAscii().matches('"+inertType.String()+"')") {
		t.Errorf("the CustomResourceDefinition has another one than %s", inertType)
	}
}

// texts returns all texts in a value that was decoded from YAML.
func texts(value any) (found []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, element := range v {
			found = append(found, texts(element)...)
		}
	case map[string]any:
		for _, member := range v {
			found = append(found, texts(member)...)
		}
	}
	return found
}
