/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package webhooktrigger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/route"
)

// traffic stands between a client and the API server.
type traffic struct {
	answer func(*http.Response) *http.Response // what becomes of the answer to a watch; nil for nothing

	mu               sync.Mutex
	streamed, single int // requests
	answers          bytes.Buffer
}

func (t *traffic) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err != nil || !strings.Contains(r.URL.Path, "/secrets") {
			return response, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if !r.URL.Query().Has("watch") {
			t.single++
		} else if t.streamed++; t.answer != nil {
			response = t.answer(response)
		}
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(response.Body, t), response.Body}
		return response, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Write implements io.Writer.
func (t *traffic) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answers.Write(p)
}

// startSecretCache starts a cache of a namespace, and returns it filled.
func startSecretCache(t *testing.T, namespace string, selector labels.Selector) *SecretCache {
	t.Helper()
	secrets, err := NewSecretCache(env.Config, nil, env.Client.Scheme(), map[string]cache.Config{namespace: {}}, selector)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- secrets.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("the cache ended with: %v", err)
		}
	})
	if _, err := secrets.GetInformer(ctx, secretMetadata()); err != nil {
		t.Fatal(err)
	}
	return secrets
}

func numberedKey(i int) string { return fmt.Sprintf("key-of-the-trigger-number-%04d", i) }

// tampering is a client whose watches change each Secret on the way. Later, instead of secret-4,
// something happens to secret-3.
type tampering struct {
	client.WithWatch
	change func(*corev1.Secret)
	later  watch.EventType
}

func (c tampering) Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	w, err := c.WithWatch.Watch(ctx, list, options...)
	if err != nil {
		return nil, err
	}
	var third *corev1.Secret
	return watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
		secret, ok := e.Object.(*corev1.Secret)
		if !ok || e.Type != watch.Added {
			return e, true
		}
		if c.change != nil {
			c.change(secret)
		}
		switch secret.Name {
		case "secret-3":
			third = secret.DeepCopy()
		case "secret-4":
			if c.later != "" {
				third.ResourceVersion, third.Data["secretKey"] = "1", []byte("a-key-that-is-not-known-yet")
				return watch.Event{Type: c.later, Object: third}, true
			}
		}
		return e, true
	}), nil
}

// failing is a reader that fails at first.
type failing struct {
	client.Reader
	left int
}

func (r *failing) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if r.left > 0 {
		r.left--
		return errors.New("not now")
	}
	return r.Reader.Get(ctx, key, object, options...)
}

// TestWarmUpStreams fills a table from a stream of Secrets, and shows what is read one by one
// instead. All triggers whose Secret is there can serve, with its present key.
func TestWarmUpStreams(t *testing.T) {
	t.Parallel()
	const many = minStreamed + 4
	const foreignKey = "the-key-of-a-secret-that-no-trigger-refers-to"
	foreign := func(names ...string) (secrets []client.Object) {
		for _, name := range names {
			secrets = append(secrets, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{"secretKey": []byte(foreignKey)}})
		}
		return secrets
	}
	var long []string
	for i := range maxExcluded / 250 {
		long = append(long, fmt.Sprintf("%0250d", i))
	}
	type counts struct{ Streamed, Single int }
	cases := map[string]struct {
		reason   string
		triggers int
		selector string
		others   []client.Object
		// change is what happens to the objects before the start.
		change func(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, secret *corev1.Secret) error // of number 3
		answer func(*http.Response) *http.Response
		tamper func(*corev1.Secret)
		later  watch.EventType
		cached client.Reader
		want   counts
		// unavailable is why number 3 cannot serve.
		unavailable string
	}{
		"Streamed":   {reason: "one request for all", triggers: many, want: counts{1, 0}},
		"ByLabel":    {reason: "only those with the label exist", triggers: many, selector: "number!=3", want: counts{1, 1}, unavailable: sluicev1alpha1.ReasonSecretNotFound},
		"Few":        {reason: "a watch is not worth it", triggers: minStreamed - 1, want: counts{0, minStreamed - 1}},
		"Others":     {reason: "Secrets that no trigger refers to are not sent", triggers: many, others: foreign("before", "secret-00", "zebra"), want: counts{1, 0}},
		"ManyOthers": {reason: "the request would be too long for proxies, and the others are not sent either", triggers: many, others: foreign(long...), want: counts{0, many}},
		"OlderAPIServer": {
			reason: "one without the feature WatchList refuses the request", triggers: many,
			answer: func(r *http.Response) *http.Response {
				_ = r.Body.Close()
				refused := *r
				refused.StatusCode, refused.Header = http.StatusUnprocessableEntity, http.Header{"Content-Type": {"application/json"}}
				refused.Body = io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"sendInitialEvents: Forbidden"}`))
				return &refused
			},
			want: counts{1, many},
		},
		"Interrupted": {
			reason: "what a stream that breaks has not brought is read by itself", triggers: many,
			answer: func(r *http.Response) *http.Response {
				_ = r.Body.Close()
				r.Body = http.NoBody
				return r
			},
			want: counts{1, many},
		},
		"Outdated": {
			reason: "a Secret that has changed since may have lost this key", triggers: many,
			tamper: func(s *corev1.Secret) {
				if s.Name == "secret-3" {
					s.ResourceVersion, s.Data["secretKey"] = "1", []byte("a-key-that-was-replaced-long-ago")
				}
			},
			want: counts{1, 1},
		},
		"MadeAnew": {
			reason: "it is another one of the same name", triggers: many,
			tamper: func(s *corev1.Secret) {
				if s.Name == "secret-3" {
					s.UID, s.Data["secretKey"] = "another", []byte("a-key-that-was-replaced-long-ago")
				}
			},
			want: counts{1, 1},
		},
		"ChangedLater": {reason: "its key may have been revoked while the stream goes on", triggers: many, later: watch.Modified, want: counts{1, 2}},
		"DeletedLater": {reason: "it may be gone", triggers: many, later: watch.Deleted, want: counts{1, 2}},
		"FlowUnreadable": {
			reason: "what fails once is tried again", triggers: many,
			cached: &failing{Reader: env.Client, left: many}, want: counts{1, many},
		},
		"Missing": {
			reason: "that a Secret is not in the stream is found out", triggers: many,
			change: func(ctx context.Context, _ *sluicev1alpha1.WebhookTrigger, secret *corev1.Secret) error {
				return env.Client.Delete(ctx, secret)
			},
			want: counts{1, 1}, unavailable: sluicev1alpha1.ReasonSecretNotFound,
		},
		"Blank": {
			reason: "a blank key is none, however it was read", triggers: many,
			change: func(ctx context.Context, _ *sluicev1alpha1.WebhookTrigger, secret *corev1.Secret) error {
				secret.Data["secretKey"] = []byte(" \n")
				return env.Client.Update(ctx, secret)
			},
			want: counts{1, 0}, unavailable: sluicev1alpha1.ReasonSecretKeyEmpty,
		},
		"TwoSecrets": {
			reason: "a stream brings one Secret at a time, and this needs two", triggers: many,
			change: func(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, _ *corev1.Secret) error {
				trigger.Spec.AdditionalSecretRefs = []sluicev1alpha1.SecretKeyReference{{Name: "secret-4", Key: "secretKey"}}
				return env.Client.Update(ctx, trigger)
			},
			want: counts{1, 2},
		},
		"VerifyToken": {
			reason: "the verify token in another Secret makes two as well", triggers: many,
			change: func(ctx context.Context, trigger *sluicev1alpha1.WebhookTrigger, _ *corev1.Secret) error {
				trigger.Spec.Algorithm, trigger.Spec.Provider = "", "Meta"
				trigger.Spec.Handshake.VerifyTokenRef = sluicev1alpha1.SecretKeyReference{Name: "secret-4", Key: "other"}
				return env.Client.Update(ctx, trigger)
			},
			want: counts{1, 2},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := env.Namespace(t)
			selector, err := labels.Parse(tc.selector)
			if err != nil {
				t.Fatal(err)
			}
			flow := testSnapshot().Flow
			flow.Namespace, flow.UID, flow.ResourceVersion = namespace, "", ""
			env.Create(t, flow)
			for _, other := range tc.others {
				other.SetNamespace(namespace)
				env.Create(t, other)
			}
			for i := range tc.triggers {
				secret := &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("secret-%d", i), Labels: map[string]string{"number": strconv.Itoa(i)}},
					Data:       map[string][]byte{"secretKey": []byte(numberedKey(i)), "other": []byte("x")},
				}
				trigger := testSnapshot().Trigger
				trigger.Namespace, trigger.Name, trigger.UID = namespace, fmt.Sprintf("trigger-%d", i), ""
				trigger.Spec.SecretRef.Name = secret.Name
				env.Create(t, secret, trigger)
				if i == 3 && tc.change != nil {
					if err := tc.change(t.Context(), trigger, secret); err != nil {
						t.Fatal(err)
					}
				}
			}

			passing := &traffic{answer: tc.answer}
			config := rest.CopyConfig(env.Config)
			config.Wrap(passing.wrap)
			live, err := client.NewWithWatch(config, client.Options{Scheme: env.Client.Scheme()})
			if err != nil {
				t.Fatal(err)
			}
			if tc.tamper != nil || tc.later != "" {
				live = tampering{live, tc.tamper, tc.later}
			}
			cached := tc.cached
			if cached == nil {
				cached = env.Client
			}
			table := route.NewTable()
			w := &warmer{
				triggers: inNamespace{env.Client, namespace},
				secrets:  startSecretCache(t, namespace, selector),
				loader:   ReferenceLoader{Cached: cached, Live: live, SecretSelector: selector},
				live:     live,
				table:    table,
				recheck:  make(chan event.GenericEvent, many+1),
				log:      logr.Discard(),
			}
			if err := w.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range tc.triggers {
				r, ok := table.Lookup(route.Path(namespace, fmt.Sprintf("trigger-%d", i)))
				switch {
				case !ok:
					t.Errorf("%s: trigger %d has no route", tc.reason, i)
				case i == 3 && tc.unavailable != "":
					if r.Verifier != nil || r.Unavailable != tc.unavailable {
						t.Errorf("%s: the route is unavailable for %q, want %q", tc.reason, r.Unavailable, tc.unavailable)
					}
				case r.Verifier == nil || string(r.Verifier.Keys()[0].Secret) != numberedKey(i):
					t.Errorf("%s: the route of trigger %d is %+v", tc.reason, i, r)
				}
			}
			passing.mu.Lock()
			defer passing.mu.Unlock()
			if diff := cmp.Diff(tc.want, counts{passing.streamed, passing.single}); diff != "" {
				t.Errorf("%s: requests (-want +got):\n%s", tc.reason, diff)
			}
			if strings.Contains(passing.answers.String(), foreignKey) {
				t.Errorf("%s: a Secret that no trigger refers to was sent", tc.reason)
			}
		})
	}
}

// silent is a client whose watches never bring anything.
type silent struct{ client.WithWatch }

func (silent) Watch(ctx context.Context, _ client.ObjectList, _ ...client.ListOption) (watch.Interface, error) {
	events := watch.NewFake()
	context.AfterFunc(ctx, events.Stop)
	return events, nil
}

// TestStalledStream has an API server that accepts a watch and is never heard of again.
func TestStalledStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &warmer{live: silent{}}
		begin := time.Now()
		if err := w.stream(t.Context(), "shop", fields.Everything(), nil); !errors.Is(err, errStalled) {
			t.Errorf("the stream ends with: %v", err)
		}
		if took := time.Since(begin); took != streamPatience {
			t.Errorf("it took %s, want %s", took, streamPatience)
		}
	})
}

// endless is a client whose watches go on and on and never say where what is there ends.
type endless struct{ client.WithWatch }

func (endless) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	events := make(chan watch.Event, 2*maxLater)
	for range cap(events) {
		events <- watch.Event{Type: watch.Modified, Object: &corev1.Secret{}}
	}
	return watch.NewProxyWatcher(events), nil
}

func TestEndlessStream(t *testing.T) {
	t.Parallel()
	w := &warmer{live: endless{}}
	if err := w.stream(t.Context(), "shop", fields.Everything(), nil); !errors.Is(err, errEndless) {
		t.Errorf("the stream ends with: %v", err)
	}
}
