/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"github.com/sluice-dev/sluice/ingest/signature"
)

// Prefix is what every path begins with.
const Prefix = "/hooks/"

// Path returns the path at which the trigger of that namespace and name is served. No two triggers share one, because
// neither part can hold a slash.
func Path(namespace, name string) string {
	return Prefix + namespace + "/" + name
}

// A Route is what one trigger serves. It must not be changed once it is in a Table.
type Route struct {
	// Namespace and Name are the trigger's; they make the path.
	Namespace, Name string
	// UID tells the trigger from a later one of the same name.
	UID string
	// Flow is the name of the Flow to start, in the same namespace.
	Flow string
	// Verifier checks signatures. It is nil exactly when the route cannot accept, so that forgetting to ask
	// Unavailable fails closed.
	Verifier *signature.Verifier
	// Unavailable says, in one word for logs, why the route cannot accept: "Suspended", "SecretNotFound" … It is empty
	// when the route can.
	Unavailable string
	// Revision names the state of everything the route was made from. Two routes of equal, non-empty revisions are equal.
	Revision string
}

// Path returns the path of the route.
func (r *Route) Path() string { return Path(r.Namespace, r.Name) }
