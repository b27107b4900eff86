/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

const (
	// dialTimeout is how long a connection may take to be made. What waits for one does not wait as
	// long, see Accept.
	dialTimeout = 30 * time.Second
	// idleTimeout is shorter than kube-apiserver's (90 s), so that it is seldom the server that
	// closes an idle connection, just when a request is sent on it.
	idleTimeout = time.Minute
)

// newTransport returns client-go's transport for requests by HTTP/1.1, which keeps that many idle
// connections, and the URL below which the FlowRuns of a namespace are.
func newTransport(config *rest.Config, connections int) (http.RoundTripper, *url.URL, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/apis"
	config.GroupVersion = &sluicev1alpha1.GroupVersion
	config.NextProtos = []string{"http/1.1"}
	if config.Dial == nil {
		// With a dialer of its own, client-go makes a transport of its own, which nobody else has
		// and which may be changed.
		config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	}
	wrap := config.WrapTransport
	config.WrapTransport = func(inner http.RoundTripper) http.RoundTripper {
		if t := innermost(inner); t != nil && config.Transport == nil { // otherwise it is not ours to change
			t.MaxIdleConnsPerHost, t.MaxIdleConns, t.IdleConnTimeout = connections, connections, idleTimeout
		}
		if wrap != nil {
			return wrap(inner)
		}
		return inner
	}
	server, versionPath, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("work out the URL of flow runs: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("set up the client for flow runs: %w", err)
	}
	server.Path = path.Join("/", server.Path, versionPath, "namespaces")
	return transport, server, nil
}

// innermost returns the transport of net/http inside of one of client-go's.
func innermost(rt http.RoundTripper) *http.Transport {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			return t
		case utilnet.RoundTripperWrapper:
			rt = t.WrappedRoundTripper()
		default:
			return nil
		}
	}
}
