/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const (
	signatureHeader = "X-HMAC-HASH"
	// bodyLength is that of every webhook.
	bodyLength = 1 << 10
)

// A plan is what the generator is to do in a round.
type plan struct {
	sender *http.Client
	target vegeta.Targeter
	want   int // the status that counts
	last   time.Duration
	// rate is how many requests to send in a second, whatever becomes of those before; 0 has each
	// worker send one after the other.
	rate    int
	workers int
	// each is called with every answer that counts; nil for nothing. It must not take long.
	each func(*vegeta.Result)
}

// A round is what a generator has measured.
type round struct {
	took    []time.Duration // of the answers that count
	seconds float64         // from the first request to the last answer
	others  map[string]int  // the answers that do not count, and errors
	// servers and between are how much time of processors kube-apiserver and etcd, and what is
	// between the generator and these, have taken meanwhile; 0 if it is not known.
	servers, between time.Duration
}

func (r *round) perSecond() float64 { return float64(len(r.took)) / r.seconds }

// serversCost and betweenCost are in milliseconds a request that counts.
func (r *round) serversCost() float64 { return r.servers.Seconds() * 1000 / float64(len(r.took)) }

func (r *round) betweenCost() float64 { return r.between.Seconds() * 1000 / float64(len(r.took)) }

// attack has the generator do what is planned.
func attack(ctx context.Context, p plan) round {
	options := []func(*vegeta.Attacker){vegeta.Client(p.sender), vegeta.Workers(uint64(p.workers))} //nolint:gosec // it is positive
	if p.rate == 0 {
		options = append(options, vegeta.MaxWorkers(uint64(p.workers))) //nolint:gosec // as above
	}
	attacker := vegeta.NewAttacker(options...)
	stop := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stop()
	r := round{others: map[string]int{}}
	var first, last time.Time
	for result := range attacker.Attack(p.target, vegeta.Rate{Freq: p.rate, Per: time.Second}, p.last, "") {
		if first.IsZero() || result.Timestamp.Before(first) {
			first = result.Timestamp
		}
		if end := result.End(); end.After(last) {
			last = end
		}
		if int(result.Code) != p.want {
			r.others[otherAnswer(result)]++
			continue
		}
		r.took = append(r.took, result.Latency)
		if p.each != nil {
			p.each(result)
		}
	}
	r.seconds = max(last.Sub(first).Seconds(), 1e-9)
	return r
}

func otherAnswer(r *vegeta.Result) string {
	if r.Code == 0 {
		return r.Error
	}
	return fmt.Sprint(r.Code)
}

var errNothingCounted = errors.New("no request was answered as it has to be")

// check returns an error if nothing that was measured counts.
func (r *round) check() error {
	if len(r.took) == 0 {
		return fmt.Errorf("%w: %v", errNothingCounted, r.others)
	}
	return nil
}

// newBody returns a JSON body of that length, with a number in it.
func newBody(number uint64) []byte {
	body := fmt.Appendf(nil, `{"order":"%012d","data":"`, number)
	body = append(body, bytes.Repeat([]byte("x"), bodyLength-len(body)-2)...)
	return append(body, `"}`...)
}

// newSigner returns what signs for the trigger with a key.
func newSigner(key string) *signature.Signer {
	signer, err := signature.NewSigner(signature.Scheme{Algorithm: signature.SHA256}, signature.Key{Name: secretKey, Secret: []byte(key)})
	if err != nil {
		panic(err) // keys and scheme are constants
	}
	return signer
}

// signedHeaders returns the headers of a request with this body.
func signedHeaders(signer *signature.Signer, body []byte) (http.Header, error) {
	signed, err := signer.Sign(signature.Unsigned{Request: signature.Request{Headers: http.Header{"Content-Type": {"application/json"}}}, Body: body})
	return signed.Headers, err
}

// signed has requests signed, each with a body of its own, and sent to the servers by turns.
func signed(namespace string, urls ...string) vegeta.Targeter {
	signer := newSigner(keyText)
	var number atomic.Uint64
	return func(t *vegeta.Target) error {
		n := number.Add(1)
		t.Method = http.MethodPost
		t.URL = urls[n%uint64(len(urls))] + "/hooks/" + namespace + "/" + triggerName
		t.Body = newBody(n)
		var err error
		t.Header, err = signedHeaders(signer, t.Body)
		return err
	}
}

// A template is a FlowRun as Sluice has stored one, but for its name and for what the API server
// adds.
type template struct {
	before, after []byte // its JSON around the name
	url           string
	token         string
	number        atomic.Uint64
}

// newTemplate sends a webhook and makes a template of what was stored. It can be changed before.
func (c *cluster) newTemplate(ctx context.Context, change ...func(*unstructured.Unstructured)) (*template, error) {
	name, err := c.deliver(ctx)
	if err != nil {
		return nil, err
	}
	run := &unstructured.Unstructured{}
	run.SetGroupVersionKind(sluicev1alpha1.GroupVersion.WithKind("FlowRun"))
	if err := c.admin.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, run); err != nil {
		return nil, fmt.Errorf("read a FlowRun: %w", err)
	}
	if err := c.deleteRuns(ctx); err != nil {
		return nil, err
	}
	for _, f := range change {
		f(run)
	}
	t, err := cutTemplate(run)
	if err != nil {
		return nil, err
	}
	// The name of the manager is stored with the object, so it is the same.
	t.url = fmt.Sprintf("%s/apis/%s/namespaces/%s/flowruns?fieldManager=sluice-ingest", strings.TrimRight(c.config.Host, "/"), sluicev1alpha1.GroupVersion, c.namespace)
	t.token = c.config.BearerToken
	return t, nil
}

// cutTemplate makes a template of a stored FlowRun.
func cutTemplate(run *unstructured.Unstructured) (*template, error) {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
		unstructured.RemoveNestedField(run.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(run.Object, "status")
	name := run.GetName()
	raw, err := json.Marshal(run.Object)
	if err != nil {
		return nil, fmt.Errorf("encode a FlowRun: %w", err)
	}
	before, after, found := bytes.Cut(raw, []byte(name))
	if !found || bytes.Contains(after, []byte(name)) {
		return nil, fmt.Errorf("the name %q is not once in the FlowRun", name)
	}
	return &template{before: before, after: after}, nil
}

// next returns an object with a name of its own, as long as Sluice's and in the order of time as
// those are.
func (t *template) next() (name string, object []byte) {
	name = fmt.Sprintf("%s-%014x%06x", triggerName, time.Now().UnixMicro(), t.number.Add(1)&0xffffff)
	return name, slices.Concat(t.before, []byte(name), t.after)
}

// raw has the objects created straight at the API server.
func (t *template) raw() vegeta.Targeter { return t.rawBy("application/json", "") }

// rawBy is raw with another answer, and with more parameters.
func (t *template) rawBy(answer, parameters string) vegeta.Targeter {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {answer}}
	if t.token != "" {
		header.Set("Authorization", "Bearer "+t.token)
	}
	return t.to(t.url+parameters, header)
}

// to has the objects sent to a server.
func (t *template) to(url string, header http.Header) vegeta.Targeter {
	return func(target *vegeta.Target) error {
		target.Method, target.URL, target.Header = http.MethodPost, url, header.Clone()
		_, target.Body = t.next()
		return nil
	}
}

// apiTLS is how the generator connects to the API server.
func (c *cluster) apiTLS() (*tls.Config, error) {
	config, err := rest.TLSConfigFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("set up TLS: %w", err)
	}
	return config, nil
}

// deliver sends one webhook, again until it is accepted, and returns the FlowRun's name.
func (c *cluster) deliver(ctx context.Context) (string, error) {
	url, err := c.ingestURL(ctx)
	if err != nil {
		return "", err
	}
	var name string
	err = localcluster.Eventually(ctx, patience, func(ctx context.Context) error {
		status, answer, err := post(ctx, url+"/hooks/"+c.namespace+"/"+triggerName, keyText)
		if err == nil && status != http.StatusAccepted {
			err = fmt.Errorf("a webhook is answered %d", status)
		}
		if err != nil {
			return err
		}
		name, err = runName(answer)
		return err
	})
	return name, err
}

// post sends one webhook.
func post(ctx context.Context, url, key string) (status int, answer []byte, err error) {
	body := newBody(0)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	headers, err := signedHeaders(newSigner(key), body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set(signatureHeader, headers.Get(signatureHeader))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// runName reads the FlowRun's name from an answer.
func runName(answer []byte) (string, error) {
	var accepted struct {
		FlowRun metav1.ObjectMeta `json:"flowRun"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return "", fmt.Errorf("read the answer to a webhook: %w", err)
	}
	return accepted.FlowRun.Name, nil
}
