/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sluice-dev/sluice/ingest"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	// bareCommand is the argument with which this program is a bare server; those of serveBare
	// follow.
	bareCommand = "bare-server"
	// Its paths: with which status it answers, and whether it reads the body before.
	bareRead, bareUnread, bareUnknown = "/401-read", "/401", "/404"
	// hopPath is of the FlowRuns that it hands over, and hopConnections how many connections to the
	// API server it keeps.
	hopPath        = "/hop"
	hopConnections = 1024
)

// serveBare serves the least that can refuse a request, with the settings that Sluice has. With a
// kubeconfig, and the URL of FlowRuns, it serves the least that can store a FlowRun too.
func serveBare(address string, api ...string) error {
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, http.StatusText(status), status) }
	}
	limits := ingest.DefaultLimits()
	mux := map[string]http.HandlerFunc{
		bareUnread:  answer(http.StatusUnauthorized),
		bareUnknown: answer(http.StatusNotFound),
		bareRead: func(w http.ResponseWriter, r *http.Request) {
			// It is read as a whole, as a signature is over the whole.
			body := make([]byte, max(0, r.ContentLength))
			_, _ = io.ReadFull(r.Body, body) // wrk sends what it announces
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		},
	}
	if len(api) > 0 {
		if len(api) != 2 {
			return fmt.Errorf("a kubeconfig and a URL are needed, not %q", api)
		}
		handler, err := newHop(api[0], api[1])
		if err != nil {
			return err
		}
		mux[hopPath] = handler
	}
	server := &http.Server{
		Addr:              address,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux[r.URL.Path](w, r) }),
		ReadHeaderTimeout: limits.ReadHeaderTimeout,
		ReadTimeout:       limits.ReadTimeout,
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHeaderBytes,
	}
	return server.ListenAndServe()
}

// newHop returns a handler that posts what it gets to the API server, by net/http and HTTP/1.1, and
// answers 202 once that has answered 201.
func newHop(kubeconfig, runs string) (http.HandlerFunc, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up TLS: %w", err)
	}
	target, err := url.Parse(runs)
	if err != nil {
		return nil, fmt.Errorf("read the URL of the FlowRuns: %w", err)
	}
	api := newTransport(http1, hopConnections, tls) // it is the generator that waits when the API server asks for that
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {metadataAlone}, "Authorization": {"Bearer " + config.BearerToken}}
	return func(w http.ResponseWriter, r *http.Request) {
		request := (&http.Request{Method: http.MethodPost, URL: target, Header: header, Body: r.Body, ContentLength: r.ContentLength}).WithContext(r.Context())
		response, err := api.RoundTrip(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
		_ = response.Body.Close()
		if after := response.Header.Get("Retry-After"); after != "" {
			w.Header().Set("Retry-After", after)
		}
		status := response.StatusCode
		if status == http.StatusCreated {
			status = http.StatusAccepted
		}
		w.WriteHeader(status)
	}, nil
}

// startBare starts a bare server as a process of its own.
func startBare(ctx context.Context, b *bench, name string, args ...string) (*localcluster.Child, string, error) {
	ports, err := localcluster.FreePorts(ctx, 1)
	if err != nil {
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	address := localcluster.Address(ports[0])
	child, err := b.children.start(ctx, name, self, append([]string{bareCommand, address}, args...)...)
	if err != nil {
		return nil, "", err
	}
	listens := func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return child, "http://" + address, localcluster.Eventually(ctx, patience, listens)
}
