/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package authfilter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

const (
	// reviewTimeout bounds how long a request waits for its reviews.
	reviewTimeout = 5 * time.Second
	// maxConcurrentReviews, reviewsPerSecond and reviewBurst bound the load on the API server,
	// whatever tokens are sent.
	maxConcurrentReviews = 4
	reviewsPerSecond     = 10
	reviewBurst          = 20
	// cacheTTL is how long an authorization is cached. Denials are not cached.
	cacheTTL = time.Minute
	// maxCached is how many authorizations are cached: there are few clients.
	maxCached = 256
	// maxTokenBytes bounds the tokens that are sent to the API server; those of service accounts
	// have about 1 KiB.
	maxTokenBytes = 16 << 10
)

// Options say what a Filter works with.
type Options struct {
	// Config and HTTPClient are for the API server. It must allow their user to create token
	// reviews and subject access reviews.
	Config     *rest.Config
	HTTPClient *http.Client
	// Realm is that of the challenge in a 401 (RFC 9110, section 11.5). It names what is protected.
	Realm string
	// Now is the clock of the cache.
	Now func() time.Time
}

// A Filter authenticates requests by their bearer token with a TokenReview, and authorizes them
// with a SubjectAccessReview of the verb (the lower-case method) and the path, as a non-resource
// URL. The filter of controller-runtime does the same, with half of k8s.io/apiserver.
type Filter struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
	realm  string
	now    func() time.Time

	slots   chan struct{} // one for each review in flight
	limiter *rate.Limiter
	logged  rate.Sometimes

	mu    sync.Mutex
	cache map[cacheKey]time.Time // when an authorization expires
}

// A cacheKey is the hash of verb, path and token.
type cacheKey [sha256.Size]byte

// New returns a Filter.
func New(o Options) (*Filter, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(o.Config, o.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("set up the client for token reviews: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(o.Config, o.HTTPClient)
	if err != nil {
		return nil, fmt.Errorf("set up the client for subject access reviews: %w", err)
	}
	return &Filter{
		tokens:  authentication.TokenReviews(),
		access:  authorization.SubjectAccessReviews(),
		realm:   o.Realm,
		now:     o.Now,
		slots:   make(chan struct{}, maxConcurrentReviews),
		limiter: rate.NewLimiter(reviewsPerSecond, reviewBurst),
		logged:  rate.Sometimes{Interval: time.Minute},
		cache:   map[cacheKey]time.Time{},
	}, nil
}

// Handler returns a handler that calls next with authorized requests only. Others are answered 401
// if they are not authenticated, 403 if they are not authorized, and 503 if neither can be found
// out. It may be called several times.
func (f *Filter) Handler(log logr.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		status := f.authorize(request, log)
		switch status {
		case http.StatusOK:
			next.ServeHTTP(w, request)
			return
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", f.realm))
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, http.StatusText(status), status)
	})
}

// authorize returns the status of the answer: 200, 401, 403 or 503.
func (f *Filter) authorize(request *http.Request, log logr.Logger) int {
	token := bearerToken(request.Header)
	if token == "" {
		return http.StatusUnauthorized
	}
	verb, path := strings.ToLower(request.Method), request.URL.Path
	key := cacheKey(sha256.Sum256([]byte(verb + " " + path + " " + token))) // unambiguous: verb and token have no blank
	if f.isCached(key) {
		return http.StatusOK
	}
	ctx, cancel := context.WithTimeout(request.Context(), reviewTimeout)
	defer cancel()
	status, err := f.review(ctx, token, verb, path)
	if err != nil {
		f.logged.Do(func() { log.Error(err, "Cannot authenticate or authorize a request") })
		return http.StatusServiceUnavailable
	}
	if status == http.StatusOK {
		f.store(key)
	}
	return status
}

// bearerToken returns the token of a request (RFC 6750, section 2.1), or "" if there is not exactly
// one.
func bearerToken(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxTokenBytes || strings.ContainsAny(token, " \t") {
		return ""
	}
	return token
}

// review has the API server authenticate the token and authorize its user. It returns 200, 401 or
// 403.
func (f *Filter) review(ctx context.Context, token, verb, path string) (int, error) {
	if err := f.limiter.Wait(ctx); err != nil {
		return 0, fmt.Errorf("wait for the rate limit of reviews: %w", err)
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for other reviews: %w", ctx.Err())
	}
	authenticated, err := f.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("create a token review: %w", err)
	}
	if !authenticated.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := authenticated.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	authorized, err := f.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: verb, Path: path},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("create a subject access review: %w", err)
	}
	if !authorized.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

func (f *Filter) isCached(key cacheKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Before(f.cache[key])
}

func (f *Filter) store(key cacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cache) >= maxCached {
		clear(f.cache) // its clients are reviewed again, and that is all
	}
	f.cache[key] = f.now().Add(cacheTTL)
}
