/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

// Cause says why a request was refused. It holds nothing of the request or of a key, so that it may
// go to logs and metrics; the sender is not told.
type Cause string

// The causes. Header stands for every header that a scheme reads; in the schemes that have their
// signature in the body, for that place.
const (
	ErrHeaderMissing   Cause = "header missing"   // no such header, or nothing in it
	ErrHeaderRepeated  Cause = "header repeated"  // a header stands there more than once, or there is more than one token
	ErrHeaderLength    Cause = "header length"    // no signature as long as the algorithm's are
	ErrHeaderMalformed Cause = "header malformed" // no signature that is encoded, or marked, as the scheme says

	ErrTimestampMissing   Cause = "timestamp missing"
	ErrTimestampMalformed Cause = "timestamp malformed" // not a time in the scheme's unit, or more than one
	ErrTimestampStale     Cause = "timestamp stale"     // older than the tolerance
	ErrTimestampFuture    Cause = "timestamp future"    // further ahead than the tolerance

	ErrIDMissing     Cause = "id missing"         // the scheme signs a delivery id, and there is none
	ErrBodyMalformed Cause = "body malformed"     // a scheme has to read the body to find what is signed, and cannot
	ErrMismatch      Cause = "signature mismatch" // another key, or another content

	ErrQueryMismatch  Cause = "query mismatch"  // not the query that the trigger states
	ErrQueryAmbiguous Cause = "query ambiguous" // the signature is good, and the same bytes could be of another URL, or query, and body
	ErrIDAmbiguous    Cause = "id ambiguous"    // the signature is good, and the same bytes could be of another id and body

	// ErrVerifyTokenWrong is of a handshake that shows another verify token.
	ErrVerifyTokenWrong Cause = "verify token wrong" //nolint:gosec // the name of a cause
	// ErrVerifyTokenUnset is of a handshake that needs a verify token, where there is none.
	ErrVerifyTokenUnset Cause = "verify token unset" //nolint:gosec // the name of a cause
)

// Causes returns every Cause.
func Causes() []Cause {
	return []Cause{
		ErrHeaderMissing, ErrHeaderRepeated, ErrHeaderLength, ErrHeaderMalformed,
		ErrTimestampMissing, ErrTimestampMalformed, ErrTimestampStale, ErrTimestampFuture,
		ErrIDMissing, ErrBodyMalformed, ErrMismatch, ErrQueryMismatch, ErrQueryAmbiguous, ErrIDAmbiguous,
		ErrVerifyTokenWrong, ErrVerifyTokenUnset,
	}
}

// OfHandshake says whether it is a handshake that was refused, and no delivery.
func (c Cause) OfHandshake() bool { return c == ErrVerifyTokenWrong || c == ErrVerifyTokenUnset }

// Error makes a Cause an error.
func (c Cause) Error() string { return string(c) }
