/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package signature

// mailgunSigns says whether a pointer leads to the timestamp or the token.
func mailgunSigns(p pointer) bool {
	return len(p) == 2 && p[0] == "signature" && (p[1] == "timestamp" || p[1] == "token")
}

// findMailgun: the body has an object signature with a timestamp, a token and the signature of the
// two, one behind the other. The time has ten digits, so the token is what follows. The rest of the
// body is not signed. (documentation.mailgun.com, "Securing webhooks")
func findMailgun(_ Request, _ carried, _ query, body []byte) ([]message, Cause) {
	if len(body) > maxUnverified {
		return nil, ErrBodyMalformed
	}
	doc, ok := newDocument(body)
	if !ok {
		return nil, ErrBodyMalformed
	}
	var (
		fields [3]field
		texts  [3]string
	)
	if object, ok := doc.find(pointer{"signature"}); ok {
		object.fields([]string{"timestamp", "token", "signature"}, fields[:])
	}
	for i, f := range fields {
		if f.found != present {
			return nil, ErrHeaderMissing
		}
		if texts[i], ok = f.value.text(); !ok || texts[i] == "" {
			return nil, ErrHeaderMalformed
		}
	}
	if len(texts[0]) != Seconds.digits() { // the next digit could be a part of the token, which is the delivery id
		return nil, ErrTimestampMalformed
	}
	return []message{{signature: texts[2], contents: [][]byte{[]byte(texts[0] + texts[1])}}}, ""
}

// completeMailgun writes the time and the token.
func completeMailgun(r *Signed, id, timestamp string) bool {
	ok := true
	if timestamp != "" {
		r.Body, ok = withValue(r.Body, pointer{"signature", "timestamp"}, quoted(timestamp))
	}
	if ok && id != "" {
		r.Body, ok = withValue(r.Body, pointer{"signature", "token"}, quoted(id))
	}
	return ok
}

// mailgunPlaces is where the signature of the time and the token is.
func mailgunPlaces([]byte) []pointer { return []pointer{{"signature", "signature"}} }
