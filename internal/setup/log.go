/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"io"
	"log/slog"

	"github.com/go-logr/logr"
)

// mostVerbose is the least severe level that is ever logged; it is V(4). From V(8) on client-go logs the bodies of
// requests and answers, and with them Secrets and payloads.
const mostVerbose = slog.LevelDebug

// NewLogger returns a logger that writes to w as the options say.
func (o Options) NewLogger(w io.Writer) logr.Logger {
	options := &slog.HandlerOptions{Level: max(o.LogLevel, mostVerbose)}
	if o.LogFormat == LogText {
		return logr.FromSlogHandler(slog.NewTextHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
}
