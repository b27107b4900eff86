/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package ingest

import (
	"net"
	"net/http"
	"time"
)

// HTTP/2 makes one connection many requests, so what one connection may hold is bounded here: the
// headers of http2Streams requests, and http2ConnectionBuffer of bodies that no handler has read
// yet. RFC 9113 recommends 100 streams and more. But a peer that takes no answer in holds 13 KiB
// for each, without a key, until the write timeout: with 100, 200 connections would be the memory
// of a replica. A client or proxy that has more on its way opens another connection.
const (
	http2Streams          = 16
	http2Frame            = 16 << 10 // the least there is
	http2ConnectionBuffer = 256 << 10
	http2StreamBuffer     = 128 << 10
	http2HeaderTable      = 4 << 10 // the protocol's default
)

// setProtocols chooses what the server speaks: HTTP/1.1, and HTTP/2 where it has been negotiated by
// TLS. There is no HTTP/2 in clear text.
func setProtocols(server *http.Server, writeTimeout time.Duration) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(server.TLSConfig != nil)
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          http2Streams,
		MaxReadFrameSize:              http2Frame,
		MaxReceiveBufferPerConnection: http2ConnectionBuffer,
		MaxReceiveBufferPerStream:     http2StreamBuffer,
		MaxDecoderHeaderTableSize:     http2HeaderTable,
		MaxEncoderHeaderTableSize:     http2HeaderTable,
		WriteByteTimeout:              writeTimeout, // of a peer that takes nothing in, which no request's deadline sees
	}
}

// serve serves the listener, by TLS if the server has a configuration for that.
func serve(server *http.Server, listener net.Listener) error {
	if server.TLSConfig == nil {
		return server.Serve(listener)
	}
	return server.ServeTLS(listener, "", "")
}
