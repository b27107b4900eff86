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

// pause is how long, at most, is waited between two attempts; half of it at least. One attempt is one connection that is refused,
// and all replicas and caches together make few of them.
const pause = time.Second

// Wrap returns a wrapper for the transport of a client whose caches are to follow the API server again within about a second of its
// return. Requests other than those of caches are left alone, and so are answers, whatever they say.
func Wrap(log logr.Logger) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper { return &patient{next: next, log: log} }
}

type patient struct {
	next http.RoundTripper
	log  logr.Logger
}

// RoundTrip implements http.RoundTripper. It returns an error only once the request is given up.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.next.RoundTrip(r)
	if err == nil || !ofCache(r) {
		return response, err
	}
	p.log.Info("The API server cannot be reached; what is served is what was known before", "resource", r.URL.Path, "err", err.Error())
	for err != nil {
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // it only keeps replicas apart
		select {
		case <-r.Context().Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		response, err = p.next.RoundTrip(r)
	}
	return response, nil
}

// ofCache says whether a request is one by which a cache is filled or followed: a watch, or a list that says how old it may be.
// They have no body, and change nothing.
func ofCache(r *http.Request) bool {
	query := r.URL.Query()
	return r.Method == http.MethodGet && (query.Has("watch") || query.Has("resourceVersion"))
}
