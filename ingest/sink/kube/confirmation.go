/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/delivery"
)

// errNotConfirmed is for an answer of 2xx that is not the API server's about this FlowRun:
// something between, a proxy that asks for a login for instance, has answered.
var errNotConfirmed = errors.New("the answer does not say that the FlowRun is stored")

// A confirmation is what an answer has to say for it to be the API server's, and about a FlowRun
// that is stored. The last two members are those that only the API server can give: a request that
// is sent back has neither, nor has a dry run a version.
type confirmation struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Namespace       string `json:"namespace"`
		Name            string `json:"name"`
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

func (c *confirmation) confirms(d *delivery.Delivery) bool {
	return c.Kind == "PartialObjectMetadata" && c.APIVersion == "meta.k8s.io/v1" &&
		c.Metadata.Namespace == d.Trigger.Namespace && c.Metadata.Name == d.Run &&
		c.Metadata.UID != "" && c.Metadata.ResourceVersion != ""
}

// A record is what the metadata of a FlowRun tell of whether a delivery can be said to be stored
// because of it. Metadata alone are read, as the payload can be a megabyte; they do not have the
// state of the payload, but say who has set it.
type record struct {
	Metadata struct {
		DeletionTimestamp string `json:"deletionTimestamp"`
		ManagedFields     []struct {
			Manager     string `json:"manager"`
			Subresource string `json:"subresource"`
			Fields      struct {
				Spec struct {
					Payload struct {
						State *struct{} `json:"f:state"`
					} `json:"f:payload"`
				} `json:"f:spec"`
			} `json:"fieldsV1"`
		} `json:"managedFields"`
	} `json:"metadata"`
}

// useless returns why the FlowRun is nothing to count on; empty if it can be counted on. One that
// is being deleted will be gone. One whose payload was dropped before anybody had acted on it, by
// somebody other than the history, which keeps it as the memory of its delivery, can come to
// nothing any more. That somebody has acted on it is known by its having a status.
func (r *record) useless() string {
	if r.Metadata.DeletionTimestamp != "" {
		return "is being deleted"
	}
	dropped := false
	for i := range r.Metadata.ManagedFields {
		m := &r.Metadata.ManagedFields[i]
		if m.Subresource == "status" {
			return ""
		}
		if m.Fields.Spec.Payload.State != nil {
			if m.Manager == sluicev1alpha1.FieldManagerHistory {
				return ""
			}
			dropped = true
		}
	}
	if dropped {
		return "has lost its payload before anybody acted on it; delete it, and the delivery can be stored"
	}
	return ""
}

// A uselessError is why the FlowRun of the same delivery does not count.
type uselessError struct{ why string }

// Error implements error.
func (e *uselessError) Error() string { return "the FlowRun of the same delivery " + e.why }

const (
	// maxMetadata is the longest metadata of a FlowRun in bytes. Annotations take up to 256 KiB.
	maxMetadata = 1 << 20
	// maxPooledBuffer keeps the buffers of a few long answers from staying for good.
	maxPooledBuffer = 256 << 10
)

// answers has the buffers for answers about FlowRuns.
var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readConfirmation returns an error unless the answer confirms that the delivery's FlowRun is
// stored, and reads the record from it if there is to be one.
func readConfirmation(answer io.ReadCloser, d *delivery.Delivery, into *record) error {
	buffer := answers.Get().(*bytes.Buffer) //nolint:errcheck // the pool has nothing else
	defer func() {
		if buffer.Cap() <= maxPooledBuffer {
			buffer.Reset()
			answers.Put(buffer)
		}
	}()
	if _, err := buffer.ReadFrom(http.MaxBytesReader(nil, answer, maxMetadata)); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var c confirmation
	if json.Unmarshal(buffer.Bytes(), &c) != nil || !c.confirms(d) { // an error could quote the answer
		return errNotConfirmed
	}
	if into != nil && json.Unmarshal(buffer.Bytes(), into) != nil {
		return errNotConfirmed
	}
	return nil
}
