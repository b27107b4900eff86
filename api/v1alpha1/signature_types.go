/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

// SignatureAlgorithm is how a signature is made: an HMAC with one of the hash functions of
// Algorithm, or one of the two that are none.
//
// +kubebuilder:validation:Enum=SHA-1;SHA-256;SHA-384;SHA-512;SHA3-256;SHA3-512;RIPEMD-128;RIPEMD-160;Ed25519;Token
type SignatureAlgorithm string

const (
	// AlgorithmEd25519 is a signature with a private key (RFC 8032). The Secret holds the public
	// key.
	AlgorithmEd25519 SignatureAlgorithm = "Ed25519"
	// AlgorithmToken is no signature: the sender sends the secret itself. It does not protect the
	// body, and whoever sees one request can send others.
	AlgorithmToken SignatureAlgorithm = "Token"
)

// SignatureEncoding is how a signature is written.
//
// +kubebuilder:validation:Enum=Hex;Base64;Base64URL
type SignatureEncoding string

// SecretEncoding is how the stored text of a Secret becomes the key.
//
// +kubebuilder:validation:Enum=Raw;Hex;Base64
type SecretEncoding string

// SecretPrefix is what a provider puts before the secrets that it shows. There is a fixed list of
// them: with any other text, whether a Secret begins with it could be tried out letter by letter,
// by people who may not read it.
//
// +kubebuilder:validation:Enum=whsec_;whpk_;"v1,whsec_"
type SecretPrefix string

const (
	// SecretPrefixWhsec stands before the secrets of Standard Webhooks, and of those who follow it.
	SecretPrefixWhsec SecretPrefix = "whsec_"
	// SecretPrefixWhpk stands before the public keys of Standard Webhooks.
	SecretPrefixWhpk SecretPrefix = "whpk_"
	// SecretPrefixV1Whsec stands before the secrets of Supabase's hooks.
	SecretPrefixV1Whsec SecretPrefix = "v1,whsec_" //nolint:gosec // what a secret begins with is none
)

// TimestampUnit is how a time is written.
//
// +kubebuilder:validation:Enum=Seconds;Milliseconds;RFC3339
type TimestampUnit string

// HeaderName is the name of an HTTP header (RFC 9110, section 5.6.2), in any case.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[-!#$%&*+.^_`|~0-9A-Za-z]+$')",message="must be the name of a header: letters, digits and '-'"
type HeaderName string

// JSONPointer is a JSON pointer (RFC 6901), such as /event/id, of at most 8 levels.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^(/([^~/]|~[01])*){1,8}$')",message="must be a JSON pointer (RFC 6901) of at most 8 levels, such as /event/id"
// +kubebuilder:validation:XValidation:rule="bytes(self).size() <= 256",message="must be at most 256 bytes in UTF-8"
type JSONPointer string

// SignatureScheme describes any scheme by which the content of a request is signed.
//
// +kubebuilder:validation:XValidation:rule="!has(self.template) || self.template.contains('{body}')",message="template must contain {body}: what does not cover the body does not protect it"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || self.template.matches('^([^{}]|[{](body|timestamp|id|method|url)[}])*$')",message="template may have the placeholders {body}, {timestamp}, {id}, {method} and {url}, and no other braces"
// +kubebuilder:validation:XValidation:rule="!(has(self.template) && self.template.contains('{timestamp}')) || (has(self.timestamp) && (has(self.timestamp.header) || has(self.timestamp.field)))",message="template has {timestamp}: set timestamp.header or timestamp.field to say where it stands"
// +kubebuilder:validation:XValidation:rule="!(has(self.timestamp) && (has(self.timestamp.header) || has(self.timestamp.field))) || (has(self.template) && self.template.contains('{timestamp}'))",message="timestamp is not signed: a timestamp from a header or field is of use only if template has {timestamp}"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || !self.template.matches('[{]id[}][{]|[}][{]id[}]')",message="template has {id} next to another placeholder: put text between them, such as a dot, or a part of one could pass for a part of the other"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || !self.template.matches('(?s)[{]body[}].*[{]body[}]|[{]timestamp[}].*[{]timestamp[}]|[{]id[}].*[{]id[}]|[{]method[}].*[{]method[}]|[{]url[}].*[{]url[}]')",message="template may have each placeholder once, or a part of one could pass for a part of the other"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || !self.template.contains('{url}?')",message="template has ? behind {url}: put another text there, or it could pass for the beginning of a query"
// +kubebuilder:validation:XValidation:rule="(has(self.template) && self.template.contains('{id}')) == has(self.idHeader)",message="set idHeader if, and only if, template has {id}"
// +kubebuilder:validation:XValidation:rule="has(self.fieldSeparator) == has(self.fields)",message="fields and fieldSeparator go together: set both or neither"
// +kubebuilder:validation:XValidation:rule="!(has(self.fieldSeparator) && has(self.prefix))",message="a signature has a field name or a prefix, not both"
// +kubebuilder:validation:XValidation:rule="!(has(self.fieldSeparator) && has(self.itemSeparator)) || self.fieldSeparator != self.itemSeparator",message="itemSeparator and fieldSeparator must differ"
// +kubebuilder:validation:XValidation:rule="!(has(self.timestamp) && has(self.timestamp.field)) || has(self.fieldSeparator)",message="timestamp.field needs fieldSeparator"
// +kubebuilder:validation:XValidation:rule="!(has(self.timestamp) && has(self.timestamp.field) && has(self.fields)) || !(self.timestamp.field in self.fields)",message="timestamp.field cannot be one of fields, which hold signatures"
// +kubebuilder:validation:XValidation:rule="self.algorithm != 'Token' || !(has(self.template) || has(self.encoding) || has(self.timestamp))",message="Token signs nothing and is compared as it is: it has no template, encoding or timestamp"
type SignatureScheme struct {
	// algorithm is how the signature is made: SHA-1, SHA-256, SHA-384, SHA-512, SHA3-256, SHA3-512,
	// RIPEMD-128 or RIPEMD-160 for an HMAC with that hash function; Ed25519; or Token, which is no
	// signature. Required. Another value is refused.
	// +required
	Algorithm SignatureAlgorithm `json:"algorithm,omitempty"`

	// headers are the names of the headers that may carry the signature; X-HMAC-HASH if absent. At
	// most 8. A request must have one of them, none twice, and one good signature is enough.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Headers []HeaderName `json:"headers,omitempty"`

	// encoding is how the signature is written: Hex (the default; of either case), Base64 (padded)
	// or Base64URL.
	// +optional
	Encoding SignatureEncoding `json:"encoding,omitempty"`

	// prefix is what the signature must begin with, such as "sha256=". At most 64 printable
	// characters. Not together with fieldSeparator.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="prefix must be printable ASCII characters, without a line break"
	Prefix string `json:"prefix,omitempty"`

	// itemSeparator is what stands between the items of a header that is a list, such as ",". At
	// most 64 printable characters. One good signature among them is enough.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="itemSeparator must be printable ASCII characters, without a line break"
	ItemSeparator string `json:"itemSeparator,omitempty"`

	// fieldSeparator is what stands between the name of an item and its value, such as "=" in
	// "t=1700000000,v1=5257a8…". At most 64 printable characters. Needs fields.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="fieldSeparator must be printable ASCII characters, without a line break"
	FieldSeparator string `json:"fieldSeparator,omitempty"`

	// fields are the names of the items that are signatures, such as v1. At most 8, of at most 64
	// printable characters. Other items are skipped. Needs fieldSeparator.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[ -~]+$')",message="a field must be printable ASCII characters, without a line break"
	Fields []string `json:"fields,omitempty"`

	// template is what is signed: text with {body}, which it must have, {timestamp}, {id}, {method}
	// and {url}, each once; just {body} if absent. At most 256 characters. {url} is the URL as the
	// sender has it; see publicURL.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="bytes(self).size() <= 512",message="template must be at most 512 bytes in UTF-8"
	Template string `json:"template,omitempty"`

	// timestamp is when the request was signed, and how far that may be from now. Absent if the
	// scheme has none.
	// +optional
	Timestamp SignatureTimestamp `json:"timestamp,omitzero"` //nolint:kubeapilinter // the term of every provider, and of the template

	// idHeader is the header that {id} in the template stands for; it is also the id of the
	// delivery. Needed if, and only if, the template has {id}.
	// +optional
	IDHeader HeaderName `json:"idHeader,omitempty"`

	// secretPrefix is taken off the stored secret if it is there: whsec_, whpk_ or "v1,whsec_". If
	// it is absent nothing is taken off. Another value is refused: store the secret without its
	// prefix. A trigger that was stored with another value, by an earlier version, has the reason
	// InvalidScheme in the condition Accepted, and requests get 503.
	// +optional
	SecretPrefix SecretPrefix `json:"secretPrefix,omitempty"`

	// secretEncoding is how the stored secret, without secretPrefix, becomes the key: Raw (the
	// default: the bytes as they are), Hex or Base64. A secret that cannot be decoded is reported
	// in the condition ResolvedRefs, and requests get 503.
	// +optional
	SecretEncoding SecretEncoding `json:"secretEncoding,omitempty"`
}

// SignatureTimestamp says where the time stands at which a request was signed.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[has(self.header), has(self.field), has(self.bodyPointer)].filter(x, x).size() == 1",message="set exactly one of header, field and bodyPointer"
// +kubebuilder:validation:XValidation:rule="!has(self.bodyPointer) || (has(self.toleranceSeconds) && self.toleranceSeconds > 0)",message="bodyPointer is of use only with toleranceSeconds"
type SignatureTimestamp struct {
	// header is the name of the header that holds the time.
	// +optional
	Header HeaderName `json:"header,omitempty"`

	// field is the name of the item that holds the time, in the header with the signature: "t" in
	// "t=1700000000,v1=5257a8…". At most 64 printable characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]+$')",message="field must be printable ASCII characters, without a line break"
	Field string `json:"field,omitempty"`

	// bodyPointer leads to the time in a JSON body. It is followed only after the signature was
	// found good.
	// +optional
	BodyPointer JSONPointer `json:"bodyPointer,omitempty"`

	// unit is how the time is written: Seconds (since 1970, the default), Milliseconds or RFC3339.
	// +optional
	Unit TimestampUnit `json:"unit,omitempty"`

	// toleranceSeconds is how far the time may be from now, before or after: from 1 to 86400;
	// exactly that far is still good. Any time is good if it is absent, and an old request can then
	// be sent again.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ToleranceSeconds int32 `json:"toleranceSeconds,omitempty"`
}

// DeduplicationSource says what tells one delivery from another.
//
// +kubebuilder:validation:Enum=Provider;Header;Body;Signature;None
type DeduplicationSource string

const (
	// DeduplicateByProvider takes the id that the provider's preset knows.
	DeduplicateByProvider DeduplicationSource = "Provider"
	// DeduplicateByHeader takes a header.
	DeduplicateByHeader DeduplicationSource = "Header"
	// DeduplicateByBody takes values in a JSON body.
	DeduplicateByBody DeduplicationSource = "Body"
	// DeduplicateBySignature takes the signature itself.
	DeduplicateBySignature DeduplicationSource = "Signature"
	// DeduplicateNone makes a FlowRun of every request.
	DeduplicateNone DeduplicationSource = "None"
)

// DeduplicationMatch says what two requests must have in common to be one delivery.
//
// +kubebuilder:validation:Enum=ID;IDAndBody
type DeduplicationMatch string

const (
	// MatchID is the delivery id alone.
	MatchID DeduplicationMatch = "ID"
	// MatchIDAndBody is the delivery id and every byte of the body.
	MatchIDAndBody DeduplicationMatch = "IDAndBody"
)

// Deduplication says what makes two requests one delivery, of which only the first becomes a
// FlowRun. It holds for as long as that FlowRun exists, which is for windowSeconds at least.
//
// +kubebuilder:validation:XValidation:rule="!has(self.header) || self.source == 'Header'",message="header is for source Header"
// +kubebuilder:validation:XValidation:rule="(self.source == 'Body') == has(self.bodyPointers)",message="set bodyPointers if, and only if, source is Body"
// +kubebuilder:validation:XValidation:rule="!has(self.windowSeconds) || self.source != 'None'",message="windowSeconds is not for source None, which remembers no delivery"
// +kubebuilder:validation:XValidation:rule="!has(self.match) || self.source != 'None'",message="match is not for source None, which compares nothing"
type Deduplication struct {
	// source is what tells one delivery from another: Provider (the id that the provider's preset
	// knows), Header, Body (of a JSON body, after its signature was found good), Signature (safe
	// against replay, but a retry that is signed anew counts as another delivery) or None.
	// Required. A header is under the signature only if the scheme signs it; otherwise it stops
	// honest retries, but no replay.
	// +required
	Source DeduplicationSource `json:"source,omitempty"`

	// header is the name of the header with the id, for source Header. It may be left out if
	// signature.idHeader is set. A request without it is accepted and not deduplicated.
	// +optional
	Header HeaderName `json:"header,omitempty"`

	// bodyPointers lead to the values in a JSON body that are together the id, for source Body. At
	// most 4. A request that lacks one of them is accepted and not deduplicated.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	BodyPointers []JSONPointer `json:"bodyPointers,omitempty"`

	// match is what two requests must have in common to be one delivery: ID (the id alone) or
	// IDAndBody (the id and every byte of the body). If it is absent, it is ID where the id is
	// under the signature, since senders may count their attempts in the body, and IDAndBody where
	// it is not: anybody who has seen a request could send it under the id of a delivery to come,
	// which would be taken for a repetition and lost. ID for an id that is not signed is reported
	// in the condition Ready. Another value is refused.
	// +optional
	Match DeduplicationMatch `json:"match,omitempty"`

	// windowSeconds is how long a FlowRun is kept at least, from when its request was received, so
	// that a repetition of the delivery is recognised: from 1 to 2592000 (30 days). Anything else
	// is refused. If it is absent, it is as long as the provider repeats deliveries and a tenth
	// more, where the preset knows that, or else 24 hours; and at least twice as long as a
	// timestamp may be off.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2592000
	WindowSeconds int32 `json:"windowSeconds,omitempty"`
}

// UnauthorizedBody says what the body of a 401 is.
//
// +kubebuilder:validation:Enum=Problem;Empty
type UnauthorizedBody string

const (
	// UnauthorizedProblem is an application/problem+json, the same for every cause.
	UnauthorizedProblem UnauthorizedBody = "Problem"
	// UnauthorizedEmpty is nothing.
	UnauthorizedEmpty UnauthorizedBody = "Empty"
)

// Response overrides the answer to an accepted request, for senders that insist on one.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.contentType) || has(self.body)",message="contentType needs body"
// +kubebuilder:validation:XValidation:rule="!has(self.body) || !has(self.status) || !(self.status in [204, 205])",message="an answer of status 204 or 205 has no body"
type Response struct {
	// status of the answer, from 200 to 299; 202, or 200 for a duplicate, if absent.
	// +optional
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=299
	Status int32 `json:"status,omitempty"`

	// body of the answer, at most 1024 characters. If it is absent, while status is set, the answer
	// has no body.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Body string `json:"body,omitempty"`

	// A browser takes what comes after a comma for the type, so there is none. XML is there for
	// TwiML; that a browser runs nothing in it is left to the Content-Security-Policy that every
	// answer of Sluice has.

	// contentType of the body: text/plain if absent. It must be no HTML or SVG, which browsers run,
	// but text/plain, application/json or another type that ends in +json, text/xml,
	// application/xml, application/x-www-form-urlencoded or application/octet-stream, perhaps with
	// parameters such as charset=utf-8; at most 128 characters. Anything else is refused. A browser
	// could run XML too, but for the Content-Security-Policy of every answer. A trigger that has
	// another type from before is served as text/plain, which the condition Ready reports.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii().matches('^(text/(plain|xml)|application/(([-!#$&^_.+0-9a-z]+[+])?json|xml|x-www-form-urlencoded|octet-stream))( *; *[-_.0-9a-z]+=[-_.0-9a-z]+)*$')",message="contentType must be no HTML or SVG, which browsers run: text/plain, application/json or another type that ends in +json, text/xml, application/xml, application/x-www-form-urlencoded or application/octet-stream, perhaps with parameters such as charset=utf-8"
	ContentType string `json:"contentType,omitempty"`

	// unauthorizedBody is the body of the answer to a request whose signature is not good: Problem
	// (the default, an application/problem+json) or Empty, on which Xero insists.
	// +optional
	UnauthorizedBody UnauthorizedBody `json:"unauthorizedBody,omitempty"`
}
