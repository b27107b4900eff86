/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// A fault is something that goes wrong.
type fault struct {
	name  string
	about string // what is done, for the report
	// long and short are how long it lasts, in a full and in a shortened run.
	long, short time.Duration
	// once says that it is not repeated when all faults have come and there is time left.
	once bool
	// cause makes it, lets it last, and heals it. When it begins to heal it, it calls healed. What
	// it returns is a remark for the report; an error means that the experiment itself has failed.
	cause func(ctx context.Context, e *experiment, last time.Duration) (remark string, err error)
}

// The faults by name.
const (
	faultNone         = "none"
	faultIngestKill   = "ingest-killed"
	faultIngestRoll   = "ingest-rolled"
	faultIngestHang   = "ingest-hung"
	faultAPIStop      = "apiserver-stopped"
	faultAPIKill      = "apiserver-killed"
	faultAPIHang      = "apiserver-hung"
	faultEtcdStop     = "etcd-stopped"
	faultEtcdKill     = "etcd-killed"
	faultEtcdHang     = "etcd-hung"
	faultNetSlow      = "network-slow"
	faultNetLost      = "network-lost"
	faultNetCut       = "network-cut"
	faultNetReset     = "network-reset"
	faultNetHalfOpen  = "network-half-open"
	faultSecrets      = "secrets-deleted"
	faultRotation     = "keys-rotated"
	faultQuota        = "quota-filled"
	faultPolicy       = "policy-refuses"
	faultPermission   = "permission-revoked"
	faultLeaseStolen  = "lease-stolen"
	faultLeaderHang   = "leader-hung"
	faultFlood        = "flood"
	faultBalancerRoll = "balancer"
	faultOverload     = "overload"
)

// shortFaults are those of a shortened run.
var shortFaults = []string{
	faultNone, faultIngestKill, faultNetCut, faultAPIKill, faultRotation, faultEtcdHang, faultBalancerRoll,
}

// faults are all there are. It is a function because some refer to what refers to it.
func faults() []fault {
	return []fault{
		{faultNone, "nothing", 20 * time.Second, 5 * time.Second, false, nothing},
		{faultIngestKill, "SIGKILL to one replica of ingest after another; each is started again after a second", 20 * time.Second, 6 * time.Second, false, killIngest},
		{faultIngestRoll, "SIGTERM to each replica of ingest in turn, which is started again when it has drained", 0, 0, false, rollIngest},
		{faultIngestHang, "SIGSTOP to a replica of ingest, and SIGCONT", 6 * time.Second, 3 * time.Second, false, hangIngest},
		{faultAPIStop, "SIGTERM to kube-apiserver, SIGKILL if it has not ended by then, and it is started again", 10 * time.Second, 2 * time.Second, false, stopProcess((*experiment).apiServer, syscall.SIGTERM)},
		{faultAPIKill, "SIGKILL to kube-apiserver, which is started again", 10 * time.Second, 2 * time.Second, false, stopProcess((*experiment).apiServer, syscall.SIGKILL)},
		{faultAPIHang, "SIGSTOP to kube-apiserver, and SIGCONT", 10 * time.Second, 4 * time.Second, false, hangProcess((*experiment).apiServer)},
		{faultEtcdStop, "SIGTERM to etcd, SIGKILL if it has not ended by then, and it is started again", 10 * time.Second, 2 * time.Second, false, stopProcess((*experiment).etcd, syscall.SIGTERM)},
		{faultEtcdKill, "SIGKILL to etcd, which is started again", 10 * time.Second, 2 * time.Second, false, stopProcess((*experiment).etcd, syscall.SIGKILL)},
		{faultEtcdHang, "SIGSTOP to etcd, and SIGCONT", 15 * time.Second, 5 * time.Second, false, hangProcess((*experiment).etcd)},
		{faultNetSlow, "each piece of data between Sluice and the API server is up to 1.2 s late, in each direction", 15 * time.Second, 4 * time.Second, false,
			changeWeather(weather{delay: 1200 * time.Millisecond})},
		{faultNetLost, "nothing gets through between Sluice and the API server, and then all of it does", 10 * time.Second, 4 * time.Second, false, changeWeather(weather{lost: true})},
		{faultNetCut, "connections to the API server are reset in the midst of its answers, after 12 KiB of them at most", 15 * time.Second, 6 * time.Second, false, changeWeather(weather{cutAfter: 12 << 10})},
		{faultNetReset, "connections to the API server are reset, and refused for a while", 5 * time.Second, 2 * time.Second, false, resetNetwork},
		{faultNetHalfOpen, "the API server's end of all connections is gone without a FIN or RST; new ones are served", 0, 0, false, halfOpen},
		{faultSecrets, "the Secrets of all triggers are deleted, and made again with the same keys", 6 * time.Second, 2 * time.Second, false, deleteSecrets},
		{faultRotation, "a trigger's key is replaced, as docs/rotation.md has it", 10 * time.Second, 4 * time.Second, false, rotateKeys},
		{faultQuota, "a ResourceQuota of the tenant's namespace is used up", 10 * time.Second, 4 * time.Second, false, fillQuota},
		{faultPolicy, "an admission policy refuses the FlowRuns of a trigger", 10 * time.Second, 4 * time.Second, false, refuseByPolicy},
		{faultPermission, "role ingest loses its permissions", 10 * time.Second, 4 * time.Second, false, revokePermission},
		{faultLeaseStolen, "somebody else holds the leader's lease, until it expires", 0, 0, false, stealLease},
		{faultLeaderHang, "SIGSTOP to the leader for longer than its lease, and SIGCONT", 0, 0, false, hangLeader},
		{faultFlood, "64 connections send forged requests to one trigger as fast as they are answered, half of them of 1 MiB", 20 * time.Second, 5 * time.Second, true, flood},
		{faultBalancerRoll, "all replicas are restarted behind HAProxy, which follows readiness; its clients never retry", 5 * time.Second, time.Second, true, rollBehindBalancer},
		{faultOverload, "ten times the requests that can be stored, by senders that never retry, and before each as many as can be stored", 20 * time.Second, 4 * time.Second, true, overload},
	}
}

func faultNames() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// schedule is the order of the faults: round after round of all of them, each in an order of its
// own, and in the first one those too that come only once. The calm comes first. round says where a
// round begins.
func schedule(seed uint64, all []fault, yield func(f fault, endsRound bool) bool) {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // to be repeated, not to be secret
	for round := 0; ; round++ {
		order := slices.DeleteFunc(slices.Clone(all), func(f fault) bool { return f.once && round > 0 })
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if calm := slices.IndexFunc(order, func(f fault) bool { return f.name == faultNone }); calm >= 0 {
			order[0], order[calm] = order[calm], order[0]
		}
		for i, f := range order {
			if !yield(f, i == len(order)-1) {
				return
			}
		}
		if len(order) == 0 {
			return
		}
	}
}

func (e *experiment) apiServer() *process { return e.cluster.apiServer }
func (e *experiment) etcd() *process      { return e.cluster.etcd }

func nothing(ctx context.Context, _ *experiment, last time.Duration) (string, error) {
	localcluster.Pause(ctx, last)
	return "", ctx.Err()
}

func killIngest(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	kills := 0
	for end := time.Now().Add(last); time.Now().Before(end); kills++ {
		r := e.cluster.ingest[e.random.IntN(len(e.cluster.ingest))]
		localcluster.Pause(ctx, time.Duration(e.random.Int64N(int64(time.Second))))
		if err := r.kill(ctx); err != nil {
			return "", err
		}
		localcluster.Pause(ctx, restartPause)
		if err := r.start(); err != nil {
			return "", err
		}
		e.healed()
		if err := r.waitReady(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d kills", kills), nil
}

// roll restarts the replicas of ingest one after the other, as a Deployment does that waits for
// each new one to be ready, and for what noticed says after that.
func (e *experiment) roll(ctx context.Context, noticed func(context.Context, *replica) error) error {
	for _, r := range e.cluster.ingest {
		status, err := r.end(ctx, syscall.SIGTERM)
		if err != nil {
			return err
		}
		if status != 0 {
			e.ledger.violated(ruleProcess, "%s ended with status %d after SIGTERM", r.name, status)
		}
		if err := r.start(); err != nil {
			return err
		}
		e.healed()
		if err := r.waitReady(ctx); err != nil {
			return err
		}
		if err := noticed(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func rollIngest(ctx context.Context, e *experiment, _ time.Duration) (string, error) {
	return "", e.roll(ctx, func(ctx context.Context, r *replica) error {
		return e.eventually(ctx, func(context.Context) error {
			if !r.backend.ready.Load() {
				return errors.New("senders do not know yet that it is ready")
			}
			return nil
		})
	})
}

func hangIngest(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	r := e.cluster.ingest[e.random.IntN(len(e.cluster.ingest))]
	r.signal(syscall.SIGSTOP)
	localcluster.Pause(ctx, last)
	e.healed()
	r.signal(syscall.SIGCONT)
	return "", nil
}

func stopProcess(which func(*experiment) *process, s syscall.Signal) func(context.Context, *experiment, time.Duration) (string, error) {
	return func(ctx context.Context, e *experiment, last time.Duration) (string, error) {
		p := which(e)
		p.dismiss(s)
		localcluster.Pause(ctx, last)
		// As a kubelet does: kube-apiserver takes more than a minute to end by itself while there
		// are watches.
		if _, err := p.end(ctx, syscall.SIGKILL); err != nil {
			return "", err
		}
		if err := p.start(); err != nil {
			return "", err
		}
		e.healed()
		begin := time.Now()
		err := e.cluster.waitAPI(ctx)
		return fmt.Sprintf("the API server was ready after %.1f s", time.Since(begin).Seconds()), err
	}
}

func hangProcess(which func(*experiment) *process) func(context.Context, *experiment, time.Duration) (string, error) {
	return func(ctx context.Context, e *experiment, last time.Duration) (string, error) {
		p := which(e)
		p.signal(syscall.SIGSTOP)
		localcluster.Pause(ctx, last)
		e.healed()
		p.signal(syscall.SIGCONT)
		return "", nil
	}
}

// proxies are those of all replicas.
func (e *experiment) proxies() []*proxy {
	var all []*proxy
	for _, r := range slices.Concat(e.cluster.ingest, e.cluster.controllers) {
		all = append(all, r.proxy)
	}
	return all
}

func changeWeather(w weather) func(context.Context, *experiment, time.Duration) (string, error) {
	return func(ctx context.Context, e *experiment, last time.Duration) (string, error) {
		for _, p := range e.proxies() {
			p.set(w)
		}
		localcluster.Pause(ctx, last)
		e.healed()
		cuts := int64(0)
		for _, p := range e.proxies() {
			p.set(weather{})
			cuts += p.cuts.Swap(0)
		}
		if w.cutAfter > 0 {
			return fmt.Sprintf("%d connections cut", cuts), nil
		}
		return "", nil
	}
}

func resetNetwork(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	for _, p := range e.proxies() {
		p.set(weather{refuse: true})
		p.reset()
	}
	localcluster.Pause(ctx, last)
	e.healed()
	for _, p := range e.proxies() {
		p.set(weather{})
	}
	return "", nil
}

func halfOpen(_ context.Context, e *experiment, _ time.Duration) (string, error) {
	e.healed() // all it takes is a new connection
	for _, p := range e.proxies() {
		p.orphan()
	}
	return "", nil
}

// eventually does something through the API server until it works.
func (e *experiment) eventually(ctx context.Context, do func(context.Context) error) error {
	return localcluster.Eventually(ctx, patience, do)
}

func (e *experiment) remove(ctx context.Context, object client.Object) error {
	err := e.eventually(ctx, func(ctx context.Context) error {
		return client.IgnoreNotFound(e.cluster.admin.Delete(ctx, object))
	})
	if err != nil {
		return fmt.Errorf("delete %T %q: %w", object, object.GetName(), err)
	}
	return nil
}

func deleteSecrets(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	for _, t := range e.triggers {
		if err := e.remove(ctx, makeSecret(t, t.secret, nil)); err != nil {
			return "", err
		}
	}
	localcluster.Pause(ctx, last)
	e.healed()
	for _, t := range e.triggers {
		if err := e.cluster.create(ctx, makeSecret(t, t.secret, t.key)); err != nil {
			return "", err
		}
	}
	return "", nil
}

// rotateKeys replaces the key of a trigger by the steps of docs/rotation.md.
func rotateKeys(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	t := e.triggers[triggerRotating]
	e.generation++
	old, key := t.key, makeKey(e.settings.seed, t.name, e.generation)
	oldSecret, newSecret := t.secret, fmt.Sprintf("%s-%d", t.name, e.generation)

	// 1 and 2: store the new key, let the trigger accept both, and see that it can use the new one.
	if err := e.cluster.create(ctx, makeSecret(t, newSecret, key)); err != nil {
		return "", err
	}
	err := e.patchTrigger(ctx, t, func(spec *sluicev1alpha1.WebhookTriggerSpec) {
		spec.AdditionalSecretRefs = []sluicev1alpha1.SecretKeyReference{{Name: newSecret, Key: secretKey}}
	})
	if err != nil {
		return "", err
	}
	err = e.eventually(ctx, func(ctx context.Context) error {
		var trigger sluicev1alpha1.WebhookTrigger
		if err := e.cluster.admin.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: t.name}, &trigger); err != nil {
			return err
		}
		if len(trigger.Status.Keys) != 2 || trigger.Status.Keys[1].Name != newSecret+"/"+secretKey {
			return errors.New("status.keys does not have the new key yet")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	// The leader has said so; each replica finds out by itself.
	begin := time.Now()
	if err := e.replicasKnow(ctx, t, key, true); err != nil {
		return "", fmt.Errorf("the new key: %w", err)
	}
	lag := time.Since(begin)
	// 3: the sender changes, in parts.
	t.setKeys(old, key, nil)
	localcluster.Pause(ctx, last/2)
	t.setKeys(key, nil, nil)
	// 4: wait until the old key is not used any more.
	if err := e.eventually(ctx, func(context.Context) error {
		if n := t.inUse(old); n > 0 {
			return fmt.Errorf("%d requests are signed with the old key", n)
		}
		return nil
	}); err != nil {
		return "", err
	}
	// 5: take it away.
	err = e.patchTrigger(ctx, t, func(spec *sluicev1alpha1.WebhookTriggerSpec) {
		spec.SecretRef.Name = newSecret
		spec.AdditionalSecretRefs = nil
	})
	if err != nil {
		return "", err
	}
	if err := e.remove(ctx, makeSecret(t, oldSecret, nil)); err != nil {
		return "", err
	}
	t.secret = newSecret
	// As soon as every replica refuses it, the old key is a forger's.
	begin = time.Now()
	if err := e.replicasKnow(ctx, t, old, false); err != nil {
		return "", fmt.Errorf("the old key: %w", err)
	}
	gone := time.Since(begin)
	t.setKeys(key, nil, old)
	localcluster.Pause(ctx, last/2)
	return fmt.Sprintf("every replica knew the new key %.1f s after the status had it, and refused the old one after %.1f s", lag.Seconds(), gone.Seconds()), nil
}

func (e *experiment) patchTrigger(ctx context.Context, t *trigger, change func(*sluicev1alpha1.WebhookTriggerSpec)) error {
	err := e.eventually(ctx, func(ctx context.Context) error {
		var trigger sluicev1alpha1.WebhookTrigger
		if err := e.cluster.admin.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: t.name}, &trigger); err != nil {
			return err
		}
		before := trigger.DeepCopy()
		change(&trigger.Spec)
		return e.cluster.admin.Patch(ctx, &trigger, client.MergeFrom(before))
	})
	if err != nil {
		return fmt.Errorf("change trigger %s: %w", t, err)
	}
	return nil
}

func fillQuota(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	hard := corev1.ResourceList{"count/flowruns.sluice.dev": resource.MustParse("1")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: "full"},
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
	if err := e.cluster.create(ctx, quota); err != nil {
		return "", err
	}
	// No controller runs that would count.
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: hard}
	if err := e.eventually(ctx, func(ctx context.Context) error { return e.cluster.admin.Status().Update(ctx, quota) }); err != nil {
		return "", err
	}
	localcluster.Pause(ctx, last)
	e.healed()
	return "", e.remove(ctx, quota)
}

func refuseByPolicy(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "chaos"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: new(admissionregistrationv1.Fail),
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{sluicev1alpha1.GroupVersion.Group}, APIVersions: []string{sluicev1alpha1.GroupVersion.Version}, Resources: []string{"flowruns"},
					},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression: fmt.Sprintf("object.metadata.labels['%s'] != '%s'", sluicev1alpha1.LabelTrigger, triggerPoliced),
				Message:    "this trigger's FlowRuns are refused",
			}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        policy.Name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	if err := errors.Join(e.cluster.create(ctx, policy), e.cluster.create(ctx, binding)); err != nil {
		return "", err
	}
	localcluster.Pause(ctx, last)
	e.healed()
	return "", errors.Join(e.remove(ctx, binding), e.remove(ctx, policy))
}

// revokePermission removes a binding of config/rbac and applies it again.
func revokePermission(ctx context.Context, e *experiment, last time.Duration) (string, error) {
	objects, err := localcluster.ReadKustomization(localcluster.RBACFolder)
	if err != nil {
		return "", err
	}
	for _, object := range objects {
		if object.GetKind() != "ClusterRoleBinding" || object.GetName() != "sluice-ingest" {
			continue
		}
		if err := e.remove(ctx, object.DeepCopy()); err != nil {
			return "", err
		}
		localcluster.Pause(ctx, last)
		e.healed()
		return "", e.cluster.apply(ctx, object)
	}
	return "", errors.New("config/rbac has no ClusterRoleBinding sluice-ingest")
}

const thief = "thief"

func stealLease(ctx context.Context, e *experiment, _ time.Duration) (string, error) {
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: localcluster.OperatorNamespace, Name: "sluice-controller"}
	err := e.eventually(ctx, func(ctx context.Context) error {
		if err := e.cluster.admin.Get(ctx, key, lease); err != nil {
			return err
		}
		lease.Spec.HolderIdentity = new(thief)
		lease.Spec.RenewTime = new(metav1.NowMicro())
		err := e.cluster.admin.Update(ctx, lease)
		if apierrors.IsConflict(err) { // the leader was faster
			return errors.New("the lease has changed")
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("take the lease: %w", err)
	}
	begin := time.Now()
	err = e.eventually(ctx, func(ctx context.Context) error {
		if err := e.cluster.admin.Get(ctx, key, lease); err != nil {
			return err
		}
		if holder := lease.Spec.HolderIdentity; holder == nil || *holder == "" || *holder == thief {
			return errors.New("nobody has taken the lease back")
		}
		return nil
	})
	if err != nil {
		e.ledger.violated(ruleRecovery, "the lease: %v", err)
		return "", nil
	}
	return e.probeStatus(ctx, begin)
}

func hangLeader(ctx context.Context, e *experiment, _ time.Duration) (string, error) {
	var leader *replica
	err := e.eventually(ctx, func(ctx context.Context) error {
		for _, r := range e.cluster.controllers {
			if r.leads(ctx) {
				leader = r
				return nil
			}
		}
		return errors.New("there is no leader")
	})
	if err != nil {
		e.ledger.violated(ruleRecovery, "%v", err)
		return "", nil
	}
	leader.signal(syscall.SIGSTOP)
	if err := e.eventually(ctx, func(context.Context) error { return stopped(leader.pid()) }); err != nil {
		return "", err
	}
	begin := time.Now()
	remark, err := e.probeStatus(ctx, begin) // by the other one, as soon as the lease has expired
	if took := time.Since(begin); took < e.settings.lease/2 && err == nil {
		e.ledger.violated(ruleLeader, "status was written %s after %s was stopped, whose lease of %s the other one has to respect", took, leader.name, e.settings.lease)
	}
	leader.signal(syscall.SIGCONT)
	remark = leader.name + " led; " + remark
	if err != nil {
		return "", err
	}
	// The former leader has to notice that it leads no more.
	err = e.eventually(ctx, func(ctx context.Context) error {
		leaders := 0
		for _, r := range e.cluster.controllers {
			if err := r.isReady(ctx); err != nil {
				return err
			}
			if r.leads(ctx) {
				leaders++
			}
		}
		if leaders != 1 {
			return fmt.Errorf("there are %d leaders", leaders)
		}
		return nil
	})
	if err != nil {
		e.ledger.violated(ruleRecovery, "after the leader hung: %v", err)
	}
	return remark, nil
}

// stopped returns nil if a process is stopped by a signal.
func stopped(pid int) error {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err
	}
	// The name, which may hold anything, is in parentheses before the state.
	if _, state, ok := strings.Cut(string(raw), ") "); !ok || !strings.HasPrefix(state, "T") {
		return fmt.Errorf("process %d is not stopped", pid)
	}
	return nil
}

// probeStatus changes a Flow and waits until the status of its trigger says so. The remark says how
// long after begin that was.
func (e *experiment) probeStatus(ctx context.Context, begin time.Time) (string, error) {
	flow := makeFlow(mainNamespace, statusName)
	want := metav1.ConditionTrue
	err := e.eventually(ctx, func(ctx context.Context) error {
		if err := e.cluster.admin.Get(ctx, client.ObjectKeyFromObject(flow), flow); err != nil {
			return err
		}
		before := flow.DeepCopy()
		if flow.Spec.State, want = sluicev1alpha1.FlowEnabled, metav1.ConditionTrue; before.Spec.State == sluicev1alpha1.FlowEnabled {
			flow.Spec.State, want = sluicev1alpha1.FlowDisabled, metav1.ConditionFalse
		}
		return e.cluster.admin.Patch(ctx, flow, client.MergeFrom(before))
	})
	if err != nil {
		return "", fmt.Errorf("change a Flow: %w", err)
	}
	err = e.eventually(ctx, func(ctx context.Context) error {
		var trigger sluicev1alpha1.WebhookTrigger
		if err := e.cluster.admin.Get(ctx, client.ObjectKeyFromObject(flow), &trigger); err != nil {
			return err
		}
		if ready := apimeta.FindStatusCondition(trigger.Status.Conditions, sluicev1alpha1.ConditionReady); ready == nil || ready.Status != want {
			return errors.New("the status of a trigger is not that of its Flow")
		}
		return nil
	})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		e.ledger.violated(ruleRecovery, "%v", err)
		return "", nil
	}
	return fmt.Sprintf("status was written after %.1f s", time.Since(begin).Seconds()), nil
}

// closedLoop has so many senders send one request after the other until ctx ends, and waits for
// them.
func closedLoop(ctx context.Context, senders int, send func()) {
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for ctx.Err() == nil {
				send()
			}
		})
	}
	all.Wait()
}
