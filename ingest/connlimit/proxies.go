/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package connlimit

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	forwardedFor = "X-Forwarded-For"
	// maxHops is how many trusted proxies a request may have gone through. It bounds what a header
	// can make the server read.
	maxHops = 16
)

// Proxies are the networks whose word is taken for who the client is.
type Proxies []netip.Prefix

// ParseProxies parses networks in CIDR notation, separated by commas.
func ParseProxies(text string) (Proxies, error) {
	var all Proxies
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" && strings.TrimSpace(text) == "" {
			return nil, nil
		}
		network, err := netip.ParsePrefix(part)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not a network such as 10.0.0.0/8 or 2001:db8::/32; a single address ends in /32 or /128", part)
		case network != network.Masked():
			return nil, fmt.Errorf("%q has bits beyond its length; the network is %s", part, network.Masked())
		case network.Addr().Is4In6():
			return nil, fmt.Errorf("%q is an IPv4 network in the form of IPv6; write it as IPv4", part)
		case network.Bits() == 0:
			return nil, fmt.Errorf("%q is everybody: any sender could say that it is another", part)
		}
		all = append(all, network)
	}
	return all, nil
}

// String is what ParseProxies takes.
func (p Proxies) String() string {
	texts := make([]string, len(p))
	for i, network := range p {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}

// MarshalText implements encoding.TextMarshaler, for flags.
func (p Proxies) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, for flags.
func (p *Proxies) UnmarshalText(text []byte) (err error) {
	*p, err = ParseProxies(string(text))
	return err
}

// Equal says whether they are the same networks in the same order.
func (p Proxies) Equal(other Proxies) bool { return slices.Equal(p, other) }

// Trusts says whether the address is one of a proxy.
func (p Proxies) Trusts(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// ClientAddress returns the address of the client: the peer, or where that is a proxy, who it says
// that it forwards for. It is not valid if nothing is known of the peer.
//
// X-Forwarded-For is read from the right, because each proxy appends whom it has talked to, and
// what stands further to the left than the first that is no proxy is what that one says of itself.
// A header that cannot be understood says nothing.
func (p Proxies) ClientAddress(r *http.Request) netip.Addr {
	peer := parseAddress(r.RemoteAddr)
	if !p.Trusts(peer) {
		return peer
	}
	return p.forwarded(peer, r.Header[forwardedFor])
}

// forwarded returns who the proxy forwards for.
func (p Proxies) forwarded(peer netip.Addr, lines []string) netip.Addr {
	client, hops := peer, 0
	for _, line := range slices.Backward(lines) { // several lines are one list
		for rest, more := line, true; more; hops++ {
			text := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, text = rest[:comma], rest[comma+1:]
			}
			address := parseAddress(strings.Trim(text, " \t"))
			if !address.IsValid() || hops == maxHops {
				return peer
			}
			client = address
			if !p.Trusts(client) {
				return client
			}
		}
	}
	return client // all of them are proxies, the client too
}

// parseAddress parses an address, with or without a port. It is not valid if the text is none.
func parseAddress(text string) netip.Addr {
	var address netip.Addr
	switch n := len(text); {
	case n > 2 && text[0] == '[' && text[n-1] == ']':
		address, _ = netip.ParseAddr(text[1 : n-1])
	case n > 0 && text[0] == '[' || strings.Count(text, ":") == 1:
		withPort, _ := netip.ParseAddrPort(text)
		address = withPort.Addr()
	default:
		address, _ = netip.ParseAddr(text)
	}
	return address.Unmap().WithZone("")
}

// Network returns what counts as one client: an address of IPv4, or a network /64 of IPv6, which is
// the least that one customer is given. Of an address that is not valid it is not valid either, and
// a key all the same.
func Network(address netip.Addr) netip.Prefix {
	address, bits := address.Unmap().WithZone(""), 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
