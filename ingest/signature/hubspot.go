/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

import "strings"

// hubSpotDecoder undoes the percent-encoding that HubSpot undoes before it signs a URL, and no
// other. (developers.hubspot.com, "Validating requests from HubSpot", for version 3 of the
// signature)
var hubSpotDecoder = func() *strings.Replacer {
	var pairs []string
	for _, c := range ":/?@!$'()*,;" {
		const digits = "0123456789ABCDEF"
		high, low := string(digits[c>>4]), string(digits[c&15])
		for _, code := range []string{high + low, high + strings.ToLower(low)} {
			pairs = append(pairs, "%"+code, string(c))
		}
	}
	return strings.NewReplacer(pairs...)
}()

// findHubSpot: the method, the URL, the body and the timestamp, one behind the other. What HubSpot
// decodes in a URL is all that a URL may have, so it ends where any other would; and the timestamp
// has 13 digits.
func findHubSpot(r Request, c carried, q query, body []byte) ([]message, Cause) {
	content := make([]byte, 0, len(r.Method)+len(r.URL)+len(body)+len(c.timestamp))
	content = append(content, r.Method...)
	address := hubSpotDecoder.Replace(r.URL)
	content = append(content, address...)
	content = append(content, body...)
	content = append(content, c.timestamp...)
	return one(!urlEnd{body: true}.determined(address, q, "", body), content), ""
}
