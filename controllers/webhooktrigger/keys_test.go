/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
	"github.com/sluice-dev/sluice/ingest/signature"
)

const testURL = "https://hooks.example.com/hooks/shop/orders"

// ofProvider is a spec with a preset.
func ofProvider(name string, d sluicev1alpha1.Deduplication) sluicev1alpha1.WebhookTriggerSpec {
	spec := testSnapshot().Trigger.Spec
	spec.Algorithm, spec.Provider, spec.Deduplication = "", sluicev1alpha1.Provider(name), d
	return spec
}

// storedKey returns a key in the form in which the scheme has it stored.
func storedKey(s signature.Scheme) []byte {
	key := []byte("an-unguessable-key-of-32-bytes--")
	text := string(key)
	switch s.Secret.Encoding {
	case signature.SecretHex:
		text = hex.EncodeToString(key)
	case signature.SecretBase64:
		text = base64.StdEncoding.EncodeToString(key)
	case signature.SecretRaw, "":
	}
	return []byte(s.Secret.StripPrefix + text)
}

// TestProvidersServe makes a route of every preset.
func TestProvidersServe(t *testing.T) {
	t.Parallel()
	const reachable, unreachable = "https://hooks.example.com", ""
	for _, preset := range signature.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			t.Parallel()
			for _, prefixed := range []bool{true, false} {
				in := testSnapshot()
				in.Trigger.Spec = ofProvider(preset.Name, sluicev1alpha1.Deduplication{})
				stored := storedKey(preset.Scheme)
				if !prefixed {
					stored = []byte(strings.TrimPrefix(string(stored), preset.Scheme.Secret.StripPrefix))
				}
				in.Secrets["webhook"].Data["secretKey"] = stored
				in.ExternalURL = reachable
				checkServes(t, in)

				in.ExternalURL = unreachable
				in.Trigger.Spec.PublicURL = testURL
				checkServes(t, in)

				in.Trigger.Spec.PublicURL = ""
				if !preset.Scheme.NeedsURL() {
					checkServes(t, in)
					continue
				}
				got := Resolve(in)
				if got.Route.Verifier != nil || got.Route.Unavailable != sluicev1alpha1.ReasonPublicURLMissing {
					t.Errorf("without a URL the route is %+v", got.Route)
				}
				checkConditions(t, got, "False/PublicURLMissing", "False/PublicURLMissing", "True/ResolvedRefs")
			}
		})
	}
}

func checkServes(t *testing.T, in Snapshot) {
	t.Helper()
	got := Resolve(in)
	checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
	if got.Route.Verifier == nil || got.Route.Unavailable != "" || len(got.Route.Verifier.Keys()) != 1 {
		t.Errorf("the route is %+v", got.Route)
	}
}

// checkConditions compares the statuses and reasons of the conditions.
func checkConditions(t *testing.T, got Resolution, ready, accepted, resolved string) {
	t.Helper()
	want := map[string]string{"Ready": ready, "Accepted": accepted, "ResolvedRefs": resolved}
	found := map[string]string{}
	for _, c := range got.Conditions {
		found[c.Type] = string(c.Status) + "/" + c.Reason
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("conditions (-want +got):\n%s\n%+v", diff, got.Conditions)
	}
}

// messageOf returns the message of a condition.
func messageOf(r Resolution, kind string) string {
	for _, c := range r.Conditions {
		if c.Type == kind {
			return c.Message
		}
	}
	return ""
}

// additional adds references to keys, and one more Secret.
func additional(in *Snapshot, refs ...string) {
	for _, ref := range refs {
		name, key, _ := strings.Cut(ref, "/")
		in.Trigger.Spec.AdditionalSecretRefs = append(in.Trigger.Spec.AdditionalSecretRefs, sluicev1alpha1.SecretKeyReference{Name: name, Key: key})
	}
	in.Secrets["former"] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "former", UID: "former-uid", ResourceVersion: "3"},
		Data:       map[string][]byte{"secretKey": []byte("another-key-of-more-than-16-bytes"), "blank": []byte(" \n"), "long": []byte(strings.Repeat("k", 4097))},
	}
}

// TestAdditionalKeys shows that a key that is passed over keeps none of the others out.
func TestAdditionalKeys(t *testing.T) {
	t.Parallel()
	const ready, accepted = "True/Ready", "True/Accepted"
	cases := map[string]struct {
		reason   string
		change   func(*Snapshot)
		keys     []string // that are accepted
		ready    string
		resolved string
		messages []string // of both conditions
	}{
		"Good": {
			reason: "all are accepted, in their order", change: func(in *Snapshot) { additional(in, "former/secretKey", "webhook/next") },
			keys: []string{"webhook/secretKey", "former/secretKey", "webhook/next"}, ready: ready, resolved: "True/ResolvedRefs",
		},
		"NoSecret": {
			reason: "a Secret that was deleted", change: func(in *Snapshot) { additional(in, "gone/secretKey", "former/secretKey") },
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/SecretNotFound",
			messages: []string{`This additional key is passed over: There is no Secret "gone"`},
		},
		"NoEntry": {
			reason: "an entry that was deleted", change: func(in *Snapshot) { additional(in, "former/gone") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyNotFound",
			messages: []string{`This additional key is passed over: The Secret "former" has no key "gone"`},
		},
		"Blank": {
			reason: "anybody could sign with it", change: func(in *Snapshot) { additional(in, "former/blank") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyEmpty",
			messages: []string{`This additional key is passed over: The key "blank" of the Secret "former" is empty or white space`},
		},
		"TooLong": {
			reason: "it is not what it should be", change: func(in *Snapshot) { additional(in, "former/long") },
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyTooLong", messages: []string{"passed over", "longer than 4096 bytes"},
		},
		"Malformed": {
			reason: "it is not encoded as the scheme says",
			change: func(in *Snapshot) {
				in.Trigger.Spec = ofProvider("AdyenPlatform", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 16))
				additional(in, "former/secretKey")
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyMalformed",
			messages: []string{`This additional key is passed over: The key "secretKey" of the Secret "former" is not hex`},
		},
		"PublicKeyOfAnotherLength": {
			reason: "it is no public key",
			change: func(in *Snapshot) {
				in.Trigger.Spec = ofProvider("Discord", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 32))
				additional(in, "former/secretKey")
				in.Secrets["former"].Data["secretKey"] = []byte(strings.Repeat("1f", 31))
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyMalformed",
			messages: []string{`This additional key is passed over: The key "secretKey" of the Secret "former" is not a public key of Ed25519`},
		},
		"PrimaryPublicKeyOfAnotherLength": {
			reason: "it is no public key",
			change: func(in *Snapshot) {
				in.Trigger.Spec = ofProvider("Discord", sluicev1alpha1.Deduplication{})
				in.Secrets["webhook"].Data["secretKey"] = []byte(strings.Repeat("1f", 33))
				additional(in)
			},
			ready: "False/SecretKeyMalformed", resolved: "False/SecretKeyMalformed",
			messages: []string{`The key "secretKey" of the Secret "webhook" is not a public key of Ed25519`},
		},
		"Several": {
			reason: "all are named, under the reason of the first", change: func(in *Snapshot) { additional(in, "former/blank", "gone/a", "former/secretKey", "former/gone") },
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/SecretKeyEmpty",
			messages: []string{`"blank"`, `no Secret "gone"`, `no key "gone"`},
		},
		"Weak": {
			reason: "a remark on each, which passes none over",
			change: func(in *Snapshot) {
				additional(in, "former/secretKey")
				in.Secrets["former"].Data["secretKey"] = []byte("weak\n")
			},
			keys: []string{"webhook/secretKey", "former/secretKey"}, ready: ready, resolved: "True/ResolvedRefs",
			messages: []string{`The key "secretKey" of the Secret "former" ends in a newline`, `The key "secretKey" of the Secret "former" is weak`},
		},
		"SkippedAndWeak": {
			reason: "both are said",
			change: func(in *Snapshot) {
				additional(in, "former/gone")
				in.Secrets["webhook"].Data["secretKey"] = []byte("weak")
			},
			keys: []string{"webhook/secretKey"}, ready: ready, resolved: "True/SecretKeyNotFound", messages: []string{`no key "gone"`, "is weak"},
		},
		"PrimaryMissing": {
			reason: "the first key is the one that the user counts on",
			change: func(in *Snapshot) {
				additional(in, "former/secretKey")
				delete(in.Secrets["webhook"].Data, "secretKey")
			},
			ready: "False/SecretKeyNotFound", resolved: "False/SecretKeyNotFound", messages: []string{`The Secret "webhook" has no key "secretKey"`},
		},
		"PrimaryBlank": {
			reason: "the first key is the one that the user counts on",
			change: func(in *Snapshot) {
				additional(in, "former/secretKey")
				in.Secrets["webhook"].Data["secretKey"] = []byte("\n")
			},
			ready: "False/SecretKeyEmpty", resolved: "False/SecretKeyEmpty", messages: []string{"anybody could sign"},
		},
		"PrimaryAndAdditionalMissing": {
			reason: "what keeps the trigger from working is the reason", change: func(in *Snapshot) { additional(in, "former/gone"); delete(in.Secrets, "webhook") },
			ready: "False/SecretNotFound", resolved: "False/SecretNotFound", messages: []string{`no Secret "webhook"`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := testSnapshot()
			in.Secrets["webhook"].Data["next"] = []byte("the-next-key-of-more-than-16-bytes")
			tc.change(&in)
			got := Resolve(in)
			checkConditions(t, got, tc.ready, accepted, tc.resolved)
			var names []string
			for _, k := range got.Route.Verifier.Keys() {
				names = append(names, k.Name)
			}
			if diff := cmp.Diff(tc.keys, names); diff != "" {
				t.Errorf("%s: keys of the route (-want +got):\n%s", tc.reason, diff)
			}
			if (got.Route.Verifier != nil) != (tc.keys != nil) {
				t.Errorf("%s: the route can serve: %v", tc.reason, got.Route.Verifier != nil)
			}
			for _, text := range tc.messages {
				for _, kind := range []string{sluicev1alpha1.ConditionReady, sluicev1alpha1.ConditionResolvedRefs} {
					if message := messageOf(got, kind); !strings.Contains(message, text) {
						t.Errorf("%s: the message of %s is %q, want %q in it", tc.reason, kind, message, text)
					}
				}
			}
			if tc.keys == nil {
				return
			}
			for name, value := range map[string]string{
				"webhook/secretKey": string(in.Secrets["webhook"].Data["secretKey"]), "former/secretKey": string(in.Secrets["former"].Data["secretKey"]),
			} {
				checkAccepts(t, in, got.Route, name, value, slices.Contains(tc.keys, name))
			}
		})
	}
}

// checkAccepts signs a body with a key, as the default scheme has it.
func checkAccepts(t *testing.T, in Snapshot, r *route.Route, name, key string, want bool) {
	t.Helper()
	if in.Trigger.Spec.Algorithm == "" {
		return
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("body"))
	request := signature.Request{Method: http.MethodPost, Headers: map[string][]string{signature.DefaultHeader: {hex.EncodeToString(mac.Sum(nil))}}}
	result, err := r.Verifier.Verify(request, []byte("body"), time.Unix(0, 0))
	switch {
	case (err == nil) != want:
		t.Errorf("what is signed with %s: %v, want it to be accepted: %v", name, err, want)
	case want && result.Key != name:
		t.Errorf("what is signed with %s is taken for %s", name, result.Key)
	}
}

// TestTokenRemark says of a token what it is.
func TestTokenRemark(t *testing.T) {
	t.Parallel()
	in := testSnapshot()
	in.Trigger.Spec = ofProvider("GitLabToken", sluicev1alpha1.Deduplication{})
	got := Resolve(in)
	checkConditions(t, got, "True/Ready", "True/Accepted", "True/ResolvedRefs")
	for _, kind := range []string{sluicev1alpha1.ConditionReady, sluicev1alpha1.ConditionResolvedRefs} {
		if message := messageOf(got, kind); !strings.Contains(message, "A token is no signature") {
			t.Errorf("the message of %s is %q", kind, message)
		}
	}
}

// TestLongestMessages makes conditions of as much as can be wrong: what does not fit would keep the
// status from being written.
func TestLongestMessages(t *testing.T) {
	t.Parallel()
	in := testSnapshot()
	long := strings.Repeat("a", 253)
	in.Trigger.Namespace = env.Namespace(t)
	in.Trigger.UID, in.Trigger.Generation = "", 0
	in.Trigger.Spec.SecretRef = sluicev1alpha1.SecretKeyReference{Name: long, Key: long}
	for i := range 8 {
		in.Trigger.Spec.AdditionalSecretRefs = append(in.Trigger.Spec.AdditionalSecretRefs,
			sluicev1alpha1.SecretKeyReference{Name: long, Key: fmt.Sprintf("%d%s", i, long[1:])})
	}
	for _, last := range []string{"\n", ""} { // weak, or blank
		in := in
		in.Trigger = in.Trigger.DeepCopy()
		in.Secrets = map[string]*corev1.Secret{long: {Data: map[string][]byte{long: []byte("weak\n")}}}
		for _, ref := range in.Trigger.Spec.AdditionalSecretRefs {
			in.Secrets[long].Data[ref.Key] = []byte("weak" + last)
			if last == "" {
				in.Secrets[long].Data[ref.Key] = nil
			}
		}
		in.Trigger.Name = fmt.Sprintf("orders-%d", len(last))
		env.Create(t, in.Trigger)
		for _, c := range Resolve(in).Conditions {
			c.LastTransitionTime = metav1.Now()
			in.Trigger.Status.Conditions = append(in.Trigger.Status.Conditions, c)
		}
		in.Trigger.Status.Keys = newKeyUsage(time.Minute).keyStatuses(in.Trigger)
		if err := env.Client.Status().Update(t.Context(), in.Trigger); err != nil {
			t.Error(err)
		}
	}
}
