/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package route

import (
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// Prefix is what every path begins with.
const Prefix = "/hooks/"

// Path returns the path at which the trigger of that namespace and name is served. No two triggers
// share one, because neither part can hold a slash.
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
	// Verifier checks signatures. It is nil exactly when the route cannot accept, so that
	// forgetting to ask Unavailable fails closed.
	Verifier *signature.Verifier
	// Unavailable says, in one word for logs, why the route cannot accept: "Suspended",
	// "SecretNotFound" … It is empty when the route can.
	Unavailable string
	// Former are the keys that Verifier had before they were last changed. They accept nothing:
	// they are there to say of a refused request that it was signed with one of them.
	Former []signature.Key
	// PublicURL is the URL that senders post to, for schemes that sign it. If it has a query,
	// requests must have the same.
	PublicURL string
	// Deduplicate says that requests of one delivery become one FlowRun, and Match what tells one
	// delivery from another.
	Deduplicate bool
	Match       Match
	// Limits are the trigger's own, beside those of the server.
	Limits Limits
	// Window is how long that FlowRun is kept at least, so that repetitions are recognised. It is 0
	// if Deduplicate is false.
	Window time.Duration
	// Response is how an accepted request is answered.
	Response Response
	// Revision names the state of everything the route was made from. Two routes of equal,
	// non-empty revisions are equal.
	Revision string

	rate *rate.Limiter // set by the Table; nil for no bound
}

// A Match is what two requests of one delivery have in common.
type Match int

const (
	// MatchDefault is MatchID where the delivery id is signed, and otherwise MatchIDAndBody.
	MatchDefault Match = iota
	// MatchID is the delivery id.
	MatchID
	// MatchIDAndBody is the delivery id and every byte of the body.
	MatchIDAndBody
)

// A Response is how the answers of a trigger differ from those of others.
type Response struct {
	// Override says that Status, ContentType and Body are the answer to an accepted request. A
	// Status of 0 is the one that the answer has without: 202, or 200 for a duplicate.
	Override    bool
	Status      int
	ContentType string
	Body        []byte
	// EmptyUnauthorized says that a 401 has no body.
	EmptyUnauthorized bool
}

// A Ref names an object in logs.
type Ref struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// String returns <namespace>/<name>.
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// LogValue implements slog.LogValuer: structured logs have the two apart.
func (r Ref) LogValue() slog.Value {
	type fields Ref
	return slog.AnyValue(fields(r))
}

// Ref names the trigger in logs.
func (r *Route) Ref() Ref { return Ref{Namespace: r.Namespace, Name: r.Name} }

// Path returns the path of the route.
func (r *Route) Path() string { return Path(r.Namespace, r.Name) }
