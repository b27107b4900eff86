/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package apierror

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Class is what an error of a request to the API server means.
type Class int

const (
	// NoAnswer means that none came, or none that is the API server's.
	NoAnswer Class = iota
	// ServerTrouble means that the API server, or etcd behind it, does not work (5xx).
	ServerTrouble
	// Throttled means that the API server turns requests away for now (429).
	Throttled
	// Webhook means that an admission webhook could not be asked, or has refused with a code that
	// says that this will pass. It is the trouble of those who are subject to the webhook, and not
	// of the API server's own.
	Webhook
	// Denied means that an admission policy or webhook has refused.
	Denied
	// Invalid means that the object does not comply with its schema (422).
	Invalid
	// Exists means that there is an object of that name (409).
	Exists
	// Conflict means that the object is not as it was thought to be (409).
	Conflict
	// NotFound means that there is no such object, or that its namespace or kind is gone (404).
	NotFound
	// Forbidden means that a permission is missing or a quota exceeded (401, 403). Both are
	// transient.
	Forbidden
	// Other is any other answer, also one of a proxy in front of the API server.
	Other
)

// webhookFailure is how the API server begins to say that it could not ask an admission webhook. It
// says so with a code of 500: words of a 422 can be a payload's.
const webhookFailure = "Internal error occurred: failed calling webhook "

// Classify says what an error that is not nil means. If the API server's words change, a Denied is
// taken for a Forbidden, which will pass: who asked tries again in vain, and nothing is lost.
func Classify(err error) Class {
	s := statusOf(err)
	if s == nil {
		return NoAnswer
	}
	throttled := s.Code == http.StatusTooManyRequests
	trouble := s.Code >= http.StatusInternalServerError
	denied := AdmissionDenial(s.Message) != ""
	switch {
	// Code and reason are of those who wrote the webhook: AlreadyExists can be theirs too.
	case denied && !throttled && !trouble:
		return Denied
	case denied, trouble && strings.HasPrefix(s.Message, webhookFailure):
		return Webhook
	case throttled:
		return Throttled
	case trouble:
		return ServerTrouble
	case apierrors.IsUnexpectedServerError(err): // no Status: client-go made one of the code alone
		return Other
	case apierrors.IsInvalid(err):
		return Invalid
	case apierrors.IsAlreadyExists(err):
		return Exists
	case s.Code == http.StatusConflict:
		return Conflict
	case apierrors.IsNotFound(err):
		return NotFound
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return Forbidden
	}
	return Other
}

// RetryAfter returns how long the API server asks to wait; 0 if it does not say.
func RetryAfter(err error) time.Duration {
	seconds, ok := apierrors.SuggestsClientDelay(err)
	if !ok || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// Explain returns what may be logged of an error that is not nil. A message of the API server can
// quote the object; those that are repeated here name, but do not quote.
func Explain(err error) string {
	s := statusOf(err)
	if s == nil {
		return fmt.Sprintf("no answer from the API server: %v", err)
	}
	answer := strings.TrimSuffix(fmt.Sprintf("the API server answers %d %s", s.Code, s.Reason), " ")
	switch Classify(err) {
	case Denied:
		return answer + ": " + AdmissionDenial(s.Message)
	case Webhook:
		if denial := AdmissionDenial(s.Message); denial != "" {
			return answer + ": " + denial
		}
		return answer + ": " + webhookTrouble(s.Message)
	case Forbidden, NotFound:
		return answer + ": " + s.Message
	default: // the message can quote the object
		return answer
	}
}

// callError is what a request to a webhook ends with if nothing came back that could be quoted: a
// refused connection, a bad certificate, a time that was over. "an error on the server" begins a
// message with the webhook's own body in it.
var callError = regexp.MustCompile(`^: (?:could not get REST client|failed to call webhook: Post ")`)

// webhookTrouble returns what may be logged of a message that begins with webhookFailure: the name
// of the webhook, and why it could not be asked.
func webhookTrouble(message string) string {
	name, err := strconv.QuotedPrefix(message[len(webhookFailure):])
	if err != nil {
		return strings.TrimSpace(webhookFailure)
	}
	called := message[:len(webhookFailure)+len(name)]
	if callError.MatchString(message[len(called):]) {
		return message
	}
	return called
}

func statusOf(err error) *metav1.Status {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	s := status.Status()
	return &s
}
