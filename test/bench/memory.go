/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/controllers/webhooktrigger"
	"github.com/sluice-dev/sluice/internal/kube/scheme"
	"github.com/sluice-dev/sluice/internal/kube/strip"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// memory is what a process has, in bytes.
type memory struct{ resident, peak, live float64 }

// settle waits until the replica has nothing to do any more: once it serves, it looks at each route
// once again.
func (r *replica) settle(ctx context.Context) error {
	const period, idle = 5 * time.Second, 250 * time.Millisecond
	last, err := processorTime(r.child.PID())
	if err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < patience; {
		localcluster.Pause(ctx, period)
		now, err := processorTime(r.child.PID())
		if err != nil {
			return err
		}
		if now-last < idle {
			return nil
		}
		last = now
	}
	return errors.New("a replica has something to do all the time")
}

// memory has a replica collect its garbage. What was resident before that is what counts.
func (r *replica) memory(ctx context.Context) (memory, error) {
	resident, peak := localcluster.Resident(r.child.PID())
	m := memory{resident: float64(resident), peak: float64(peak)}
	for range 2 { // the first time, what is in a sync.Pool stays
		profile, err := fetch(ctx, r.pprof+"heap?gc=1&debug=1")
		if err != nil {
			return m, err
		}
		_, after, _ := strings.Cut(profile, "\n# HeapAlloc = ")
		if _, err := fmt.Sscan(after, &m.live); err != nil {
			return m, fmt.Errorf("read a heap profile: %w", err)
		}
	}
	return m, nil
}

// fetch returns what a path is answered with.
func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// informerObjects returns how much of this process's memory the objects take that every replica of
// ingest has in its caches, whatever it makes of them. The caches are those of a replica, but
// without indexes.
func (c *cluster) informerObjects(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	types := scheme.New()
	triggers, err := cache.New(c.config, cache.Options{Scheme: types, DefaultTransform: strip.Transform(false)})
	if err != nil {
		return 0, fmt.Errorf("set up a cache: %w", err)
	}
	secrets, err := webhooktrigger.NewSecretCache(c.config, nil, types, nil, labels.Everything())
	if err != nil {
		return 0, err
	}
	go func() { _ = triggers.Start(ctx) }()
	go func() { _ = secrets.Start(ctx) }()
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	before := liveHeap()
	for _, of := range []struct {
		cache  cache.Cache
		object client.Object
	}{{triggers, &sluicev1alpha1.WebhookTrigger{}}, {secrets, metadata}} {
		if _, err := of.cache.GetInformer(ctx, of.object); err != nil {
			return 0, fmt.Errorf("fill a cache: %w", err)
		}
	}
	localcluster.Pause(ctx, time.Second) // for what brought the objects to be garbage
	after := liveHeap()
	runtime.KeepAlive(triggers)
	runtime.KeepAlive(secrets)
	return after - before, nil
}

func liveHeap() float64 {
	for range 2 {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
