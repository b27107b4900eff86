/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// flowRunsPrefix is where the API server keeps FlowRuns in etcd.
const flowRunsPrefix = "/registry/sluice.dev/flowruns/"

// storage measures how much room a FlowRun takes in etcd.
func storage(ctx context.Context, b *bench) ([]table, error) {
	const runs, workers = 1000, 16
	if _, err := b.cluster.deliver(ctx); err != nil {
		return nil, err
	}
	if err := b.cluster.deleteRuns(ctx); err != nil {
		return nil, err
	}
	t, err := b.cluster.newTemplate(ctx)
	if err != nil {
		return nil, err
	}
	h, err := b.cluster.newHand(t)
	if err != nil {
		return nil, err
	}
	result := table{Name: "storage", Title: "Room that a FlowRun with a payload of 1 KiB takes in etcd."}
	names := make([]string, runs)
	size := func() (float64, error) { return b.cluster.etcdInUse(ctx) }
	// One after the other, each is done to all of them.
	last, err := size()
	if err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		do   func(i int) error
	}{
		{"created", func(i int) (err error) { names[i], err = h.create(ctx); return err }},
		{"succeeded", func(i int) error { return h.finish(ctx, names[i]) }},
		{"deleted", func(i int) error { return h.delete(ctx, names[i]) }},
	} {
		if err := forEach(runs, workers, step.do); err != nil {
			return nil, err
		}
		key, value, err := b.cluster.etcdRecord(ctx, flowRunsPrefix+b.cluster.namespace+"/")
		if err != nil {
			return nil, err
		}
		now, err := size()
		if err != nil {
			return nil, err
		}
		if value > 0 {
			result.Rows = append(result.Rows, figure(step.name+": key and value", "bytes", []float64{float64(key + value)}, target{}))
		}
		result.Rows = append(result.Rows, figure(step.name+": growth of the database", "bytes", []float64{(now - last) / runs}, target{}))
		last = now
	}
	return []table{result}, nil
}

// etcdInUse returns how much of its file etcd uses, in bytes.
func (c *cluster) etcdInUse(ctx context.Context) (float64, error) {
	var status struct {
		InUse float64 `json:"dbSizeInUse,string"`
	}
	// What was written is committed to the file within 100 ms.
	localcluster.Pause(ctx, time.Second)
	return status.InUse, c.askEtcdInto(ctx, "/v3/maintenance/status", map[string]any{}, &status)
}

// etcdRecord returns the length of the first key with that prefix, and of its value; 0 if there is
// none.
func (c *cluster) etcdRecord(ctx context.Context, prefix string) (key, value int, err error) {
	end := []byte(prefix)
	end[len(end)-1]++
	var found struct {
		KVs []struct{ Key, Value []byte } `json:"kvs"`
	}
	err = c.askEtcdInto(ctx, "/v3/kv/range", map[string]any{"key": []byte(prefix), "range_end": end, "limit": "1"}, &found)
	if err != nil || len(found.KVs) == 0 {
		return 0, 0, err
	}
	return len(found.KVs[0].Key), len(found.KVs[0].Value), nil
}

// askEtcdInto asks etcd by its JSON gateway.
func (c *cluster) askEtcdInto(ctx context.Context, path string, question map[string]any, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode a question to etcd: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.plane.EtcdURL()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask etcd: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask etcd: %s", response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("read etcd's answer: %w", err)
	}
	return nil
}
