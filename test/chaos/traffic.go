/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/ingest/signature"
)

// The headers of the triggers.
const (
	signatureHeader = "X-HMAC-HASH"
	deliveryHeader  = "X-Delivery"
	// signedContent is what is signed where the delivery id is.
	signedContent = "{id}.{body}"
)

// maxBody is --max-body-bytes.
const maxBody = 1 << 20

// A trigger is what senders know of a WebhookTrigger.
type trigger struct {
	namespace, name string
	// deduplicates says whether deliveries have an id, in deliveryHeader, and signsID whether it is
	// signed.
	deduplicates, signsID bool

	mu     sync.Mutex
	secret string // the name of the Secret with its key
	key    []byte // what its sender signs with
	next   []byte // what some of its senders sign with already; nil for nobody
	former []byte // what was good once and must not be any more; nil if there is none
	using  map[string]int
}

// The triggers. Those of the tenant are in a namespace of their own.
const (
	triggerPlain    = "plain"    // no delivery ids
	triggerOrders   = "orders"   // delivery ids, signed; those of the others are not
	triggerRotating = "rotating" // its key is replaced now and then
	triggerPoliced  = "policed"  // an admission policy refuses its FlowRuns now and then
	triggerTenant   = "tenant"   // its namespace's quota is used up now and then
	triggerCalm     = "calm"     // for measurements: the mix sends it nothing
	triggerProbe    = "probe"    // by which it is seen that replicas follow changes: the mix sends it nothing either
)

const (
	mainNamespace   = "chaos"
	tenantNamespace = "chaos-tenant"
)

// newTriggers returns the triggers by name.
func newTriggers(seed uint64) map[string]*trigger {
	triggers := map[string]*trigger{}
	for _, name := range []string{triggerPlain, triggerOrders, triggerRotating, triggerPoliced, triggerTenant, triggerCalm, triggerProbe} {
		t := &trigger{namespace: mainNamespace, name: name, deduplicates: name != triggerPlain && name != triggerCalm && name != triggerProbe, using: map[string]int{}}
		t.signsID = name == triggerOrders
		if name == triggerTenant {
			t.namespace = tenantNamespace
		}
		t.secret, t.key = name, makeKey(seed, name, 0)
		triggers[name] = t
	}
	return triggers
}

// makeKey makes the key of a trigger; generation counts its rotations.
func makeKey(seed uint64, name string, generation int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "chaos %d %s %d", seed, name, generation))
	return []byte(hex.EncodeToString(sum[:]))
}

func (t *trigger) String() string { return t.namespace + "/" + t.name }

func (t *trigger) path() string { return "/hooks/" + t.namespace + "/" + t.name }

// use returns the key for a request, and the function that says that the request is over.
func (t *trigger) use(number uint64) (key []byte, over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key = t.key
	if t.next != nil && number%2 == 0 {
		key = t.next
	}
	name := string(key)
	t.using[name]++
	return key, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.using[name]--
	}
}

// sign signs a body of an arrival.
func (t *trigger) sign(key []byte, a *arrival, body []byte) string {
	scheme := signature.Scheme{Algorithm: signature.SHA256, Headers: []string{signatureHeader}}
	if t.signsID {
		scheme.Template, scheme.DeliveryID.Headers = signedContent, []string{deliveryHeader}
	}
	signed, err := signature.Sign(scheme, signature.Key{Name: t.secret, Secret: key}, signature.Unsigned{Body: body, ID: a.id()})
	if err != nil {
		panic(err) // Sluice would take no arrival of this kind
	}
	return http.Header(signed.Headers).Get(signatureHeader)
}

// inUse returns how many requests are under way that are signed with the key.
func (t *trigger) inUse(key []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.using[string(key)]
}

// formerKey returns a key that was good once.
func (t *trigger) formerKey() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.former
}

// setKeys changes what senders sign with.
func (t *trigger) setKeys(key, next, former []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.key, t.next, t.former = key, next, former
}

// kind is what an arrival is.
type kind string

// The kinds. The comments say what it has to come to.
const (
	kindPlain       kind = "signed"                             // stored
	kindIdentified  kind = "signed, with an id"                 // stored once
	kindTwins       kind = "twice at the same time"             // stored once, by two replicas
	kindRepeated    kind = "repeated later"                     // stored once
	kindRivals      kind = "one id, two bodies"                 // stored once, or each of them where the id is not signed
	kindPreceded    kind = "a forgery under its id first"       // the forgery refused, the genuine stored
	kindLarge       kind = "large"                              // stored
	kindTrickled    kind = "slow"                               // stored
	kindStalled     kind = "too slow"                           // 408
	kindAbandoned   kind = "abandoned"                          // nothing stored
	kindTooLong     kind = "too long"                           // 413
	kindTooLongPart kind = "too long, in chunks"                // 413
	kindWrongKey    kind = "signed with a wrong key"            // 401, as all that follow
	kindAltered     kind = "altered by one bit"                 //
	kindOtherKey    kind = "signed with another's key"          //
	kindUnsigned    kind = "not signed"                         //
	kindMalformed   kind = "a signature that is none"           //
	kindFormerKey   kind = "signed with a former key"           //
	kindShortened   kind = "a signature without its end"        //
	kindProbe       kind = "signed, with a key of a moment ago" // stored, or 401
	kindCalm        kind = "signed, of a measurement"           // stored, or 503
	kindBalanced    kind = "signed, through the balancer"       // stored at the first attempt
	kindFlood       kind = "forged, of a flood"                 // 401 or 503
	kindFloodLarge  kind = "forged, of a flood, and large"      // 401 or 503
)

// weights are how many of 1000 arrivals are of each kind.
var weights = []struct {
	kind   kind
	weight int
}{
	{kindPlain, 340},
	{kindIdentified, 310},
	{kindTwins, 50},
	{kindRepeated, 50},
	{kindRivals, 15},
	{kindPreceded, 15},
	{kindLarge, 2},
	{kindTrickled, 5},
	{kindStalled, 2},
	{kindAbandoned, 5},
	{kindTooLong, 3},
	{kindTooLongPart, 3},
	{kindWrongKey, 60},
	{kindAltered, 60},
	{kindOtherKey, 20},
	{kindUnsigned, 20},
	{kindMalformed, 10},
	{kindFormerKey, 20},
	{kindShortened, 10},
}

// genuineTriggers are how many of 10 deliveries with an id each trigger gets.
var genuineTriggers = []struct {
	name   string
	weight int
}{{triggerOrders, 5}, {triggerRotating, 2}, {triggerPoliced, 1}, {triggerTenant, 2}}

// An arrival is what one sender is about to do. It depends on nothing but the seed and its number.
type arrival struct {
	number  uint64
	kind    kind
	trigger string
	random  *rand.Rand
}

// arrive returns the arrival of that number.
func arrive(seed, number uint64) arrival {
	a := arrival{number: number, random: rand.New(rand.NewPCG(seed, number))} //nolint:gosec // to be repeated, not to be secret
	n := a.random.IntN(1000)
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			a.kind = w.kind
			break
		}
	}
	switch a.kind {
	case kindPlain, kindTrickled, kindStalled, kindAbandoned, kindTooLong, kindTooLongPart:
		a.trigger = triggerPlain
	case kindFormerKey:
		a.trigger = triggerRotating
	case kindLarge:
		a.trigger = triggerOrders
	default:
		n := a.random.IntN(10)
		for _, w := range genuineTriggers {
			if n -= w.weight; n < 0 {
				a.trigger = w.name
				break
			}
		}
	}
	return a
}

// id is the delivery id of the arrival.
func (a *arrival) id() string { return fmt.Sprintf("delivery-%d", a.number) }

// body makes the arrival's body of that index, the same each time it is asked for.
func (a *arrival) body(seed uint64, index int) []byte {
	start := fmt.Sprintf(`{"run":%d,"delivery":%d,"body":%d,"text":"`, seed, a.number, index)
	random := rand.New(rand.NewPCG(seed^0x9e3779b97f4a7c15, a.number*16+uint64(index))) //nolint:gosec // as above
	switch a.kind {
	case kindLarge:
		return largeContent(start, random)
	case kindTooLong, kindTooLongPart:
		return fill(start, maxBody+1+random.IntN(1<<10), "x")
	case kindFloodLarge:
		return fill(start, maxBody, "x")
	default:
	}
	length := 100 + random.IntN(2000)
	if random.IntN(10) == 0 {
		length = 2<<10 + random.IntN(14<<10)
	}
	offset := random.IntN(len(filler) - length)
	return append(append([]byte(start), filler[offset:offset+length]...), `"}`...)
}

// filler is text to cut bodies from.
var filler = func() []byte {
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // as above
	const alphabet = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 äöüß€"
	letters := []rune(alphabet)
	var text strings.Builder
	for text.Len() < 64<<10 {
		text.WriteRune(letters[random.IntN(len(letters))])
	}
	return []byte(text.String())
}()

// largeContent is a body that costs as much as one can: long, and of what takes the most room or
// work in JSON.
func largeContent(start string, random *rand.Rand) []byte {
	length := 64<<10 + random.IntN(maxBody-64<<10)
	worst := []string{"\x00\x01\x02", "<>&", `\"`, "\u2028\u2029", "\xff\xfe", "x", "€", "\n\t"}
	if i := random.IntN(len(worst) + 1); i < len(worst) {
		return fill(start, length, worst[i])
	}
	body := fill(start, length, "x")
	for i := len(start); i < len(body); i++ {
		body[i] = byte(random.UintN(256)) //nolint:gosec // it fits
	}
	return body
}

func fill(start string, length int, unit string) []byte {
	body := append([]byte(start), bytes.Repeat([]byte(unit), (length-len(start))/len(unit))...)
	return append(body, strings.Repeat(" ", length-len(body))...)
}

// paceOf is how the slow kinds send.
func paceOf(k kind, slow time.Duration) *pace {
	switch k {
	case kindTrickled: // a third of what is allowed
		return &pace{parts: 6, pause: slow / 18, send: 6}
	case kindStalled:
		return &pace{parts: 8, pause: slow / 4, send: 7}
	case kindAbandoned:
		return &pace{parts: 4, pause: slow / 20, send: 2, leave: true}
	default:
		return nil
	}
}
