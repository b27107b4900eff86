/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// metadataAlone asks the API server for no more than the metadata of what it has stored.
const metadataAlone = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"

// requests measures what the API server makes of the ways to ask it for the same: what Sluice could
// choose.
func requests(ctx context.Context, b *bench) ([]table, error) {
	const connections, full = 16, "application/json"
	usual, err := b.cluster.newTemplate(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := b.cluster.newTemplate(ctx, func(run *unstructured.Unstructured) {
		run.SetLabels(nil)
		run.SetAnnotations(nil)
	})
	if err != nil {
		return nil, err
	}
	config, err := b.cluster.apiTLS()
	if err != nil {
		return nil, err
	}
	one := newSender(http1, connections, config.Clone())
	ways := []struct {
		name string
		plan plan
	}{
		{"", plan{sender: one, target: usual.raw()}},
		{"the same again", plan{sender: one, target: usual.raw()}},
		{"HTTP/2", plan{sender: newSender(http2, connections, config.Clone()), target: usual.raw()}},
		{"the answer is metadata alone", plan{sender: one, target: usual.rawBy(metadataAlone, "")}},
		{"fieldValidation=Strict", plan{sender: one, target: usual.rawBy(full, "&fieldValidation=Strict")}},
		{"fieldValidation=Ignore", plan{sender: one, target: usual.rawBy(full, "&fieldValidation=Ignore")}},
		{"the answer is metadata alone, in protobuf", plan{sender: one, target: usual.rawBy(strings.Replace(metadataAlone, "json", "vnd.kubernetes.protobuf", 1), "")}},
		{"metadata alone, fieldValidation=Ignore", plan{sender: one, target: usual.rawBy(metadataAlone, "&fieldValidation=Ignore")}},
		{"metadata alone, fieldValidation=Strict", plan{sender: one, target: usual.rawBy(metadataAlone, "&fieldValidation=Strict")}},
		{"no labels and annotations", plan{sender: one, target: bare.raw()}},
		{"as Sluice asks, but by HTTP/2: metadata, Strict", plan{sender: newSender(http2, connections, config.Clone()), target: usual.rawBy(metadataAlone, "&fieldValidation=Strict")}},
	}
	rates, costs := make([][]float64, len(ways)), make([][]float64, len(ways))
	var variants []func(bool) error
	for i, way := range ways {
		p := way.plan
		p.want, p.workers, p.last = http.StatusCreated, connections, b.settings.round
		variants = append(variants, func(warmUp bool) error {
			before, err := processorTimes(b.cluster.servers...)
			if err != nil {
				return err
			}
			r := attack(ctx, p)
			after, err := processorTimes(b.cluster.servers...)
			if err != nil {
				return err
			}
			if err := r.check(); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			if !warmUp {
				rates[i] = append(rates[i], r.perSecond())
				costs[i] = append(costs[i], (after-before).Seconds()*1000/float64(len(r.took)))
			}
			return b.cluster.deleteRuns(ctx)
		})
	}
	if err := interleave(b.settings.rounds, variants...); err != nil {
		return nil, err
	}
	t := table{
		Name:     "requests",
		Title:    fmt.Sprintf("Creates straight at kube-apiserver, asked for in other ways, over %d connections.", connections),
		Baseline: "HTTP/1.1, with the whole object as the answer.",
	}
	for i, way := range ways[1:] {
		t.Rows = append(t.Rows, compare(way.name, "a second", rates[i+1], rates[0], target{}, false))
		if len(b.cluster.servers) > 0 {
			t.Rows = append(t.Rows, compare("… processor time of kube-apiserver and etcd", "ms a create", costs[i+1], costs[0], target{}, false))
		}
	}
	return []table{t}, nil
}
