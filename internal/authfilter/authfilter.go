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
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// reviewPatience is how long a reader waits for what the API server says of it.
	reviewPatience = 5 * time.Second
	// reviewsAtATime, reviewsPerSecond and reviewBurst bound what the API server is asked, whoever shows whatever tokens.
	reviewsAtATime   = 4
	reviewsPerSecond = 10
	reviewBurst      = 20
	// allowedFor is how long what the API server allows is remembered. What it does not allow is not remembered.
	allowedFor = time.Minute
	// maxAllowed is how many readers are remembered. There are a few.
	maxAllowed = 256
	// maxToken is the length of the longest token that is looked at; those of service accounts have about 1 KiB.
	maxToken = 16 << 10
)

// readers lets those read the metrics whose token the API server knows, and whom it allows what they ask for. The filter of
// controller-runtime does the same, with half of k8s.io/apiserver.
type readers struct {
	tokens authenticationclient.TokenReviewInterface
	access authorizationclient.SubjectAccessReviewInterface
	now    func() time.Time

	places chan struct{}
	pace   *rate.Limiter
	logged rate.Sometimes

	mu      sync.Mutex
	allowed map[[sha256.Size]byte]time.Time // until when, by token and request
}

// MetricsReaders is a metricsserver.Options.FilterProvider.
func MetricsReaders(now func() time.Time) func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
	return func(config *rest.Config, httpClient *http.Client) (metricsserver.Filter, error) {
		authentication, err := authenticationclient.NewForConfigAndClient(config, httpClient)
		if err != nil {
			return nil, fmt.Errorf("set up the client for token reviews: %w", err)
		}
		authorization, err := authorizationclient.NewForConfigAndClient(config, httpClient)
		if err != nil {
			return nil, fmt.Errorf("set up the client for subject access reviews: %w", err)
		}
		r := &readers{
			tokens:  authentication.TokenReviews(),
			access:  authorization.SubjectAccessReviews(),
			now:     now,
			places:  make(chan struct{}, reviewsAtATime),
			pace:    rate.NewLimiter(reviewsPerSecond, reviewBurst),
			logged:  rate.Sometimes{Interval: time.Minute},
			allowed: map[[sha256.Size]byte]time.Time{},
		}
		return func(log logr.Logger, next http.Handler) (http.Handler, error) {
			return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				if status := r.judge(request, log); status != http.StatusOK {
					refuseReader(w, status)
					return
				}
				next.ServeHTTP(w, request)
			}), nil
		}, nil
	}
}

func refuseReader(w http.ResponseWriter, status int) {
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(status), status)
}

// judge returns 200 for who may have what the request asks for, 401 for whom the API server does not know, 403 for who may not, and 503 if it
// cannot be asked.
func (r *readers) judge(request *http.Request, log logr.Logger) int {
	token := bearerToken(request.Header)
	if token == "" {
		return http.StatusUnauthorized
	}
	verb, path := strings.ToLower(request.Method), request.URL.Path
	key := sha256.Sum256([]byte(verb + " " + path + " " + token)) // no verb has a blank, nor has a token
	if r.remembers(key) {
		return http.StatusOK
	}
	ctx, cancel := context.WithTimeout(request.Context(), reviewPatience)
	defer cancel()
	status, err := r.review(ctx, token, verb, path)
	if err != nil {
		r.logged.Do(func() { log.Error(err, "Cannot find out who reads the metrics") })
		return http.StatusServiceUnavailable
	}
	if status == http.StatusOK {
		r.remember(key)
	}
	return status
}

// bearerToken returns the token of a request (RFC 6750, section 2.1), or "" if there is none, or not one.
func bearerToken(header http.Header) string {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || strings.ContainsAny(token, " \t") {
		return ""
	}
	return token
}

// review asks the API server.
func (r *readers) review(ctx context.Context, token, verb, path string) (int, error) {
	if err := r.pace.Wait(ctx); err != nil {
		return 0, fmt.Errorf("too many tokens to ask for: %w", err)
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return 0, fmt.Errorf("too many tokens to ask for: %w", ctx.Err())
	}
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review a token: %w", err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	may, err := r.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: verb, Path: path},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("review the access of who has a token: %w", err)
	}
	if !may.Status.Allowed {
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

func (r *readers) remembers(key [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Before(r.allowed[key])
}

func (r *readers) remember(key [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.allowed) >= maxAllowed {
		clear(r.allowed) // which makes them ask again, and no more
	}
	r.allowed[key] = r.now().Add(allowedFor)
}
