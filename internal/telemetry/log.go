/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package telemetry

import (
	"io"
	"log/slog"

	"github.com/go-logr/logr"
)

// MostVerbose is the least severe level that is ever logged; it is V(4). From V(8) on client-go
// logs the bodies of requests and answers, and with them Secrets and payloads.
const MostVerbose = slog.LevelDebug

// LogFormat is how log lines are written.
type LogFormat string

// The log formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// NewLogger returns a logger that writes to w what is at least as severe as level, and never more
// verbosely than MostVerbose.
func NewLogger(w io.Writer, level slog.Level, format LogFormat) logr.Logger {
	options := &slog.HandlerOptions{Level: max(level, MostVerbose)}
	if format == LogText {
		return logr.FromSlogHandler(slog.NewTextHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
}
