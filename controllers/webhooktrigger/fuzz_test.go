/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/internal/translation"
)

// alike returns a key of which the conditions have to say the same: as blank, as long as matters,
// and with the same end. Nothing else of a key may be told from the conditions.
func alike(key []byte) []byte {
	if signature.Blank(key) {
		return nil
	}
	other := bytes.Repeat([]byte{'x'}, len(key))
	switch {
	case len(key) > translation.MaxKeyBytes:
		other = other[:translation.MaxKeyBytes+1]
	case len(key) >= translation.WeakKeyBytes:
		other = other[:translation.WeakKeyBytes]
	default:
		other = other[:1]
		if len(key) > 1 {
			other = []byte("xx")
		}
	}
	if last := key[len(key)-1]; last == '\n' || last == '\r' {
		other[len(other)-1] = '\n'
	}
	return other
}

// FuzzKeys stores anything as the two keys of a trigger. The trigger accepts requests exactly if
// the first is usable, with the keys that are, and the conditions say no more of the keys than
// whether they are blank, short or long, and end in a newline.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("a-key-of-more-than-sixteen-bytes"), []byte("another-of-more-than-16-bytes\r"))
	f.Add([]byte("short\n"), []byte(" \t\n"))
	f.Add([]byte{}, []byte("a"))
	f.Add([]byte{0, 0, 0}, bytes.Repeat([]byte("x"), translation.MaxKeyBytes+1))
	f.Add([]byte("\u2003\u00a0"), bytes.Repeat([]byte{0xff}, translation.MaxKeyBytes))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		resolve := func(first, second []byte) Resolution {
			in := testSnapshot()
			in.Trigger.Spec.AdditionalSecretRefs = []sluicev1alpha1.SecretKeyReference{{Name: "webhook", Key: "former"}}
			in.Secrets["webhook"].Data = map[string][]byte{"secretKey": first, "former": second}
			return Resolve(in)
		}
		usable := func(key []byte) bool { return !signature.Blank(key) && len(key) <= translation.MaxKeyBytes }
		got := resolve(first, second)
		ready := apimeta.IsStatusConditionTrue(got.Conditions, sluicev1alpha1.ConditionReady)
		if ready != usable(first) || ready != (got.Route.Verifier != nil) || ready != (got.Route.Unavailable == "") {
			t.Errorf("%q: ready %t, with a verifier %t, unavailable for %q", first, ready, got.Route.Verifier != nil, got.Route.Unavailable)
		}
		var want []signature.Key
		if ready {
			want = append(want, signature.Key{Name: "webhook/secretKey", Secret: first})
			if usable(second) {
				want = append(want, signature.Key{Name: "webhook/former", Secret: second})
			}
		}
		if diff := cmp.Diff(want, got.Route.Verifier.Keys()); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(resolve(alike(first), alike(second)).Conditions, got.Conditions); diff != "" {
			t.Errorf("conditions tell more of the keys %q and %q (-of others +got):\n%s", first, second, diff)
		}
	})
}

// FuzzObserve has FlowRuns name anything as the key that they were signed with. What is remembered
// is bounded, and the status has the trigger's own keys alone.
func FuzzObserve(f *testing.F) {
	f.Add("orders", "webhook/secretKey\nwebhook/former\n\n")
	f.Add("", "webhook/secretKey")
	f.Add("orders", strings.Repeat("x", 513)+"\n"+strings.Repeat("y", 512))
	f.Add("orders", strings.Join(strings.Split(strings.Repeat("ab", 40), ""), "\n"))
	f.Add("orders", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\n1\n2\n3\n4\n5\n6\n7\n8")
	f.Fuzz(func(t *testing.T, trigger, keys string) {
		u := newKeyUsage(time.Minute)
		in := testSnapshot()
		in.Trigger.Namespace, in.Trigger.Name = "shop", "orders"
		u.keyStatuses(in.Trigger)
		for i, key := range strings.Split(keys, "\n") {
			u.ObserveKey("shop", trigger, key, second(i))
		}
		u.publish()
		for name, used := range u.triggers {
			if name != orders || len(used.published) != 1 || len(used.pending) != 0 {
				t.Errorf("%+v is remembered of %s", used, name)
			}
		}
		if statuses := u.keyStatuses(in.Trigger); len(statuses) != 1 || statuses[0].Name != "webhook/secretKey" {
			t.Errorf("the status has %+v", statuses)
		}
	})
}
