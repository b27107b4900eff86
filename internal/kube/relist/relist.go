/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package relist

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/transport"
)

// maxPause bounds the pause between two attempts, which has jitter and is half as long at least. An
// attempt costs a connection that is refused, and all replicas and caches together make few of
// them.
const maxPause = time.Second

// Wrap returns a wrapper for the transport of a client whose caches are to list and watch again
// within about a second of the API server's return. Only requests of reflectors are retried, and
// only without an answer: answers are returned, whatever they say.
func Wrap(log logr.Logger) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper { return &retryTransport{next: next, log: log} }
}

type retryTransport struct {
	next http.RoundTripper
	log  logr.Logger
}

// RoundTrip implements http.RoundTripper. It retries until the context of the request ends.
func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err == nil || !isReflectorRequest(r) {
		return response, err
	}
	t.log.Info("The API server cannot be reached; what is served is what was known before", "resource", r.URL.Path, "err", err.Error())
	for err != nil {
		timer := time.NewTimer(maxPause/2 + rand.N(maxPause/2)) //nolint:gosec // it only keeps replicas apart
		select {
		case <-r.Context().Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		response, err = t.next.RoundTrip(r)
	}
	return response, nil
}

// isReflectorRequest returns whether a request fills a cache or keeps it up to date: a watch, or a
// list with a resource version. Both are safe to retry: they have no body and no side effect.
func isReflectorRequest(r *http.Request) bool {
	query := r.URL.Query()
	return r.Method == http.MethodGet && (query.Has("watch") || query.Has("resourceVersion"))
}
