/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

// Package app makes the operator out of its parts: flags, manager, caches, controllers, webhook
// server, health checks.
package app
