/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
)

// flowRunsPrefix is where the API server keeps FlowRuns in etcd.
const flowRunsPrefix = "/registry/sluice.dev/flowruns/"

// errCompacted means that etcd has forgotten a part of the history that was not read yet.
var errCompacted = errors.New("etcd has compacted what was not read yet")

// history is every FlowRun that etcd ever held, those that were deleted too. It reads etcd's own
// record of changes, from the first revision on and without the API server, so that neither Sluice
// nor a cache can hide anything from it.
type history struct {
	url    string
	client http.Client

	mu       sync.Mutex
	runs     map[string]*storedRun // by the key's incarnation: a name may come again after a deletion
	live     map[string]string     // from the key to that
	revision int64                 // the last one that was read
	err      error
}

func newHistory(etcdURL string) *history {
	return &history{url: etcdURL, runs: map[string]*storedRun{}, live: map[string]string{}}
}

// follow reads until ctx ends. When etcd is away it tries again; etcd keeps 5 minutes of history at
// least, by which the API server has it compact.
func (h *history) follow(ctx context.Context) {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		if err := h.watch(ctx); errors.Is(err, errCompacted) {
			h.mu.Lock()
			h.err = err
			h.mu.Unlock()
			return
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// event is a change as etcd's JSON gateway has it. Numbers are strings there, and bytes are base64.
type event struct {
	Type string `json:"type"` // absent for a put
	KV   struct {
		Key            []byte `json:"key"`
		Value          []byte `json:"value"`
		CreateRevision string `json:"create_revision"`
		ModRevision    int64  `json:"mod_revision,string"`
	} `json:"kv"`
}

// keyRange is the part of a request that says which keys it is about: all that begin with a prefix.
func keyRange(prefix string) map[string]any {
	end := []byte(prefix)
	end[len(end)-1]++
	return map[string]any{"key": []byte(prefix), "range_end": end}
}

func (h *history) watch(ctx context.Context) error {
	create := keyRange(flowRunsPrefix)
	h.mu.Lock()
	create["start_revision"] = h.revision + 1
	h.mu.Unlock()
	response, err := h.post(ctx, "/v3/watch", map[string]any{"create_request": create})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	for {
		var message struct {
			Result struct {
				CompactRevision string  `json:"compact_revision"`
				Canceled        bool    `json:"canceled"`
				Events          []event `json:"events"`
			} `json:"result"`
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := decoder.Decode(&message); err != nil {
			return err
		}
		switch {
		case message.Error != nil:
			return errors.New(message.Error.Message)
		case message.Result.CompactRevision != "":
			return errCompacted
		case message.Result.Canceled:
			return errors.New("etcd has ended the watch")
		}
		for i := range message.Result.Events {
			h.take(&message.Result.Events[i])
		}
	}
}

func (h *history) post(ctx context.Context, path string, body any) (*http.Response, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("etcd: %s", response.Status)
	}
	return response, nil
}

// take takes in a change. Only the first of a FlowRun's counts, as its spec cannot change, and its
// deletion.
func (h *history) take(e *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := string(e.KV.Key)
	h.revision = max(h.revision, e.KV.ModRevision)
	if e.Type == "DELETE" {
		if run := h.runs[h.live[key]]; run != nil {
			run.deleted = true
		}
		delete(h.live, key)
		return
	}
	incarnation := key + " " + e.KV.CreateRevision
	if _, known := h.runs[incarnation]; known {
		return
	}
	run, err := readRun(e.KV.Value)
	if err != nil {
		h.err = fmt.Errorf("read %s in etcd: %w", key, err)
		return
	}
	h.runs[incarnation] = run
	h.live[key] = incarnation
}

// readRun reads a FlowRun as the API server stores it.
func readRun(value []byte) (*storedRun, error) {
	var run sluicev1alpha1.FlowRun
	if err := json.Unmarshal(value, &run); err != nil {
		return nil, err
	}
	stored := &storedRun{
		name:    run.Namespace + "/" + run.Name,
		trigger: run.Namespace + "/" + run.Spec.TriggerRef.Name,
		id:      run.Spec.Request.DeliveryID,
		digest:  sha256.Sum256([]byte(run.Spec.Payload.Text + string(run.Spec.Payload.Binary))),
	}
	said, err := hex.DecodeString(run.Spec.Payload.SHA256)
	if err != nil || run.Annotations[sluicev1alpha1.AnnotationPayloadSHA256] != run.Spec.Payload.SHA256 {
		return stored, nil //nolint:nilerr // said stays empty: it is not the digest of any body
	}
	copy(stored.said[:], said)
	return stored, nil
}

// all returns what is known by now.
func (h *history) all() ([]storedRun, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	runs := make([]storedRun, 0, len(h.runs))
	for _, run := range h.runs {
		runs = append(runs, *run)
	}
	return runs, h.err
}

// caughtUp returns nil when as many FlowRuns are known and not deleted as etcd counts.
func (h *history) caughtUp(ctx context.Context) error {
	query := keyRange(flowRunsPrefix)
	query["count_only"] = true
	response, err := h.post(ctx, "/v3/kv/range", query)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var counted struct {
		Count int `json:"count,string"`
	}
	if err := json.NewDecoder(response.Body).Decode(&counted); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	if len(h.live) != counted.Count {
		return fmt.Errorf("%d FlowRuns of %d were read from etcd", len(h.live), counted.Count)
	}
	return nil
}

// listed compares the FlowRuns that the API server lists, as namespace/name, with those that etcd
// holds.
func (h *history) listed(names map[string]bool) (differences []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := map[string]bool{}
	for key := range h.live {
		name := strings.TrimPrefix(key, flowRunsPrefix)
		held[name] = true
		if !names[name] {
			differences = append(differences, name+" is in etcd and not listed")
		}
	}
	for name := range names {
		if !held[name] {
			differences = append(differences, name+" is listed and not in etcd")
		}
	}
	return differences
}
