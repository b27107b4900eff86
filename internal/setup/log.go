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

// NewLogger returns a logger that writes to w as the options say. Level debug includes V(1) and up to V(4).
func (o Options) NewLogger(w io.Writer) logr.Logger {
	options := &slog.HandlerOptions{Level: o.LogLevel}
	if o.LogFormat == LogText {
		return logr.FromSlogHandler(slog.NewTextHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
}
