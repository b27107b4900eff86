/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package connlimit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func mustParse(tb testing.TB, text string) Proxies {
	tb.Helper()
	proxies, err := ParseProxies(text)
	if err != nil {
		tb.Fatal(err)
	}
	return proxies
}

func TestParseProxies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		text   string
		want   string
		err    string // part of it
	}{
		"None":       {reason: "nobody is trusted", text: "", want: ""},
		"Blank":      {reason: "as a template leaves it", text: "  ", want: ""},
		"Several":    {reason: "of both kinds", text: "10.0.0.0/8, 2001:db8::/32,192.0.2.1/32", want: "10.0.0.0/8,2001:db8::/32,192.0.2.1/32"},
		"Address":    {reason: "it is not clear that one is meant", text: "10.0.0.1", err: "a single address ends in /32"},
		"Name":       {reason: "names are not looked up", text: "proxy.example.com", err: `"proxy.example.com" is not a network`},
		"HostBits":   {reason: "another network may be meant", text: "10.1.2.3/8", err: "the network is 10.0.0.0/8"},
		"EmptyItem":  {reason: "something was left out", text: "10.0.0.0/8,", err: `"" is not a network`},
		"Everybody":  {reason: "any sender could be anybody", text: "0.0.0.0/0", err: "any sender could say"},
		"Everybody6": {reason: "any sender could be anybody", text: "::/0", err: "any sender could say"},
		"Mapped":     {reason: "no peer has such an address here", text: "::ffff:10.0.0.0/104", err: "write it as IPv4"},
		"Zone":       {reason: "networks have none", text: "fe80::%eth0/64", err: "is not a network"},
		"TooLong":    {reason: "there are 32 bits", text: "10.0.0.0/33", err: "is not a network"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseProxies(tc.text)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("%s: error %v, want %q", tc.reason, err, tc.err)
			}
			if got.String() != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
			if again, err := ParseProxies(got.String()); err != nil || !slices.Equal(got, again) {
				t.Errorf("%s: %s is parsed as %s, %v", tc.reason, got, again, err)
			}
		})
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := mustParse(t, "10.0.0.0/8,2001:db8:1::/48")
	many := strings.Repeat("10.0.0.1, ", maxHops)
	tests := map[string]struct {
		reason string
		peer   string
		header []string
		want   string
	}{
		"Direct":         {reason: "there is no proxy", peer: "192.0.2.1:1234", want: "192.0.2.1"},
		"Spoofed":        {reason: "the peer is none that may say so", peer: "192.0.2.1:1234", header: []string{"198.51.100.1"}, want: "192.0.2.1"},
		"SpoofedMapped":  {reason: "the same over a socket of IPv6", peer: "[::ffff:192.0.2.1]:1234", header: []string{"198.51.100.1"}, want: "192.0.2.1"},
		"Forwarded":      {reason: "the proxy says so", peer: "10.0.0.1:1234", header: []string{"198.51.100.1"}, want: "198.51.100.1"},
		"Mapped":         {reason: "the peer is a proxy, over a socket of IPv6", peer: "[::ffff:10.0.0.1]:1234", header: []string{"198.51.100.1"}, want: "198.51.100.1"},
		"IPv6":           {reason: "of both kinds", peer: "[2001:db8:1::1]:1", header: []string{"2001:db8:2::1"}, want: "2001:db8:2::1"},
		"MappedClient":   {reason: "one client is one address", peer: "10.0.0.1:1", header: []string{"::ffff:198.51.100.1"}, want: "198.51.100.1"},
		"Hops":           {reason: "proxies are passed over", peer: "10.0.0.1:1", header: []string{"198.51.100.1, 10.0.0.2,10.0.0.3"}, want: "198.51.100.1"},
		"Says":           {reason: "what stands further to the left is what the client says", peer: "10.0.0.1:1", header: []string{"203.0.113.1, 198.51.100.1, 10.0.0.2"}, want: "198.51.100.1"},
		"SaysProxy":      {reason: "a client says that it is a proxy", peer: "10.0.0.1:1", header: []string{"10.0.0.9, 198.51.100.1"}, want: "198.51.100.1"},
		"Lines":          {reason: "several lines are one list", peer: "10.0.0.1:1", header: []string{"203.0.113.1, 198.51.100.1", "10.0.0.2"}, want: "198.51.100.1"},
		"AnotherLine":    {reason: "a client adds a line before that of the proxy", peer: "10.0.0.1:1", header: []string{"203.0.113.1", "198.51.100.1"}, want: "198.51.100.1"},
		"None":           {reason: "the proxy says nothing", peer: "10.0.0.1:1", want: "10.0.0.1"},
		"Empty":          {reason: "the proxy says nothing that can be understood", peer: "10.0.0.1:1", header: []string{""}, want: "10.0.0.1"},
		"Malformed":      {reason: "it says nothing that can be understood", peer: "10.0.0.1:1", header: []string{"unknown"}, want: "10.0.0.1"},
		"MalformedLeft":  {reason: "what is right of it is understood", peer: "10.0.0.1:1", header: []string{"unknown, 198.51.100.1"}, want: "198.51.100.1"},
		"MalformedRight": {reason: "who said the rest is not known", peer: "10.0.0.1:1", header: []string{"198.51.100.1, unknown"}, want: "10.0.0.1"},
		"MalformedHop":   {reason: "who said the rest is not known", peer: "10.0.0.1:1", header: []string{"198.51.100.1, unknown, 10.0.0.2"}, want: "10.0.0.1"},
		"EmptyItem":      {reason: "it says nothing that can be understood", peer: "10.0.0.1:1", header: []string{"198.51.100.1,"}, want: "10.0.0.1"},
		"EmptyLine":      {reason: "it says nothing that can be understood", peer: "10.0.0.1:1", header: []string{"198.51.100.1", ""}, want: "10.0.0.1"},
		"Ports":          {reason: "some proxies say them", peer: "10.0.0.1:1", header: []string{"198.51.100.1:4711, 10.0.0.2:80"}, want: "198.51.100.1"},
		"PortOfIPv6":     {reason: "some proxies say them", peer: "10.0.0.1:1", header: []string{"[2001:db8:2::1]:4711"}, want: "2001:db8:2::1"},
		"Brackets":       {reason: "some proxies write them", peer: "10.0.0.1:1", header: []string{"[2001:db8:2::1]"}, want: "2001:db8:2::1"},
		"Zone":           {reason: "a zone makes no other client", peer: "10.0.0.1:1", header: []string{"fe80::1%eth0"}, want: "fe80::1"},
		"OnlyProxies":    {reason: "the first of them is the client", peer: "10.0.0.1:1", header: []string{"10.0.0.3, 10.0.0.2"}, want: "10.0.0.3"},
		"MostHops":       {reason: "as many as there may be", peer: "10.0.0.1:1", header: []string{"198.51.100.1, " + many[:len(many)-12] + ""}, want: "198.51.100.1"},
		"TooManyHops":    {reason: "nobody reads on for ever", peer: "10.0.0.1:1", header: []string{"198.51.100.1, " + many[:len(many)-2]}, want: "10.0.0.1"},
		"NoPeer":         {reason: "nothing is known", peer: "@", header: []string{"198.51.100.1"}, want: "invalid IP"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tc.peer, Header: http.Header{}}
			if tc.header != nil {
				r.Header[forwardedFor] = tc.header
			}
			if got := proxies.ClientAddress(r); got.String() != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::ffff:192.0.2.1": "192.0.2.1/32",
		"fe80::1%eth0": "fe80::/64",
	} {
		if got := Network(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %s", got)
	}
}

// FuzzClientAddress sends headers of any kind. Whatever stands in them, nobody's word is taken but
// that of a proxy, the last part counts before those to the left of it, and the answer is an
// address that can be a key.
func FuzzClientAddress(f *testing.F) {
	f.Add("198.51.100.1", "10.0.0.2", true)
	f.Add("[::1]:80, ::ffff:10.0.0.1", " ", true)
	f.Add("unknown", "fe80::1%eth0", false)
	f.Fuzz(func(t *testing.T, first, second string, trusted bool) {
		proxies := mustParse(t, "10.0.0.0/8")
		r := &http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{forwardedFor: {first, second}}}
		peer := netip.MustParseAddr("192.0.2.1")
		if trusted {
			r.RemoteAddr, peer = "10.0.0.1:1", netip.MustParseAddr("10.0.0.1")
		}
		got := proxies.ClientAddress(r)
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q and %q: %s", first, second, got)
		}
		if !trusted && got != peer {
			t.Errorf("%q and %q: the word of %s is taken for %s", first, second, peer, got)
		}
		// One more hop in front of the server changes nothing, unless the bound is reached.
		if strings.Count(first+second, ",") < maxHops-3 {
			r.Header[forwardedFor] = append(r.Header[forwardedFor], "10.0.0.7")
			if again := proxies.ClientAddress(r); again != got {
				t.Errorf("%q and %q: %s, and with a proxy more %s", first, second, got, again)
			}
		}
		// A client that is no proxy cannot hide behind what it says itself.
		r.Header[forwardedFor] = []string{first, second, "203.0.113.5"}
		if said := proxies.ClientAddress(r); trusted && said.String() != "203.0.113.5" {
			t.Errorf("%q and %q: %s, though the proxy has seen 203.0.113.5", first, second, said)
		}
	})
}
