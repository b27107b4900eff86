/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// badField is a value of a field that must be refused.
type badField struct {
	reason string
	field  string
	value  any
	want   []string // of what the user reads
}

// goodField is a value of a field that must be accepted.
type goodField struct {
	reason string
	field  string
	value  any
	want   any    // what is stored; nil for the value itself
	stored string // where; the field itself if empty
}

// object is a value with fields.
type object = map[string]any

// values are values of a field, by what the user who sends them has done.
type values = map[string]any

// fieldCases are the cases that are the same for every field of a type, named after the field: what
// it refuses, and the limits of what it accepts. Tests add what is special about the field.
type fieldCases struct {
	field string
	bad   map[string]badField
	good  map[string]goodField
}

func casesOf(field string) fieldCases {
	return fieldCases{field: field, bad: map[string]badField{}, good: map[string]goodField{}}
}

// refuse adds values that are refused as invalid.
func (c fieldCases) refuse(reason string, bad values, want ...string) fieldCases {
	return c.say(reason, bad, append([]string{c.field + ": Invalid value:"}, want...)...)
}

// say adds values that are refused with these texts.
func (c fieldCases) say(reason string, bad values, want ...string) fieldCases {
	for name, value := range bad {
		name = c.field + " " + name
		if _, ok := c.bad[name]; ok {
			panic("two cases are called " + name)
		}
		c.bad[name] = badField{reason: reason, field: c.field, value: value, want: want}
	}
	return c
}

// accept adds values that are accepted, and replaces those of the same name.
func (c fieldCases) accept(reason string, good values) fieldCases {
	for name, value := range good {
		c.good[c.field+" "+name] = goodField{reason: reason, field: c.field, value: value}
	}
	return c
}

// required demands that the field is there.
func (c fieldCases) required() fieldCases {
	return c.say("nobody sets the field for the user", values{"absent": absent{}, "null": nil}, c.field+": Required value")
}

// optional demands that null is the same as nothing, for which this is stored: null is what
// templates make of a value that is not set.
func (c fieldCases) optional(stored any) fieldCases {
	c.good[c.field+" null"] = goodField{reason: "null asks for the default", field: c.field, want: stored}
	return c
}

// empty adds the mapping without a field, which is explained so.
func (c fieldCases) empty(want ...string) fieldCases {
	return c.say("all that is missing is named at once", values{"empty": object{}}, want...)
}

// pattern adds what no name may have, but for what this pattern lets through. An empty text is
// refused for both reasons.
func (c fieldCases) pattern(message string, lets ...string) fieldCases {
	if empty, ok := c.bad[c.field+" empty"]; ok {
		empty.want = append(empty.want, message)
		c.bad[c.field+" empty"] = empty
	}
	names := hostile()
	for _, fine := range lets {
		delete(names, fine)
	}
	for name, value := range names {
		c.refuse(fmt.Sprintf("%q is not allowed", value), values{"with " + name: value}, message)
	}
	return c
}

// in puts the values, which are those of list[0] or of a field of it, into the list.
func (c fieldCases) in(list string, element func(value any) any) fieldCases {
	return c.within(list, func(value any) any { return []any{element(value)} })
}

// within sends the values as a part of another field.
func (c fieldCases) within(parent string, part func(value any) any) fieldCases {
	for name, tc := range c.bad {
		tc.field, tc.value = parent, part(tc.value)
		c.bad[name] = tc
	}
	for name, tc := range c.good {
		tc.field, tc.value = parent, part(tc.value)
		if !strings.Contains(c.field, "[") { // or else it has no path
			tc.stored, tc.want = c.field, c.good[name].value
		}
		c.good[name] = tc
	}
	return c
}

// acceptOnly leaves of the values that are accepted that one, where others contradict another
// field.
func (c fieldCases) acceptOnly(value any) fieldCases {
	clear(c.good)
	return c.accept("what goes with the other fields", values{"good": value})
}

// behind sends the texts behind another text.
func (c fieldCases) behind(prefix string) fieldCases {
	for name, tc := range c.bad {
		tc.value = prefix + fmt.Sprint(tc.value)
		c.bad[name] = tc
	}
	return c
}

func itself(value any) any { return value }

// hostile are values that no name may have, by what is wrong with them.
func hostile() map[string]string {
	return map[string]string{
		"NUL":                "a\x00b",
		"escape sequence":    "\x1b[31mred",
		"line break":         "a\nb",
		"line break at end":  "a\n",
		"line break first":   "\na",
		"blank":              "a b",
		"blank at end":       "a ",
		"slash":              "a/b",
		"parent folder":      "../a",
		"backslash":          `a\b`,
		"percent":            "a%2fb",
		"template":           "{{.a}}",
		"umlaut":             "ä",
		"another's letter":   "а", // Cyrillic
		"emoji":              "😀",
		"right to left mark": "a\u200fb",
		"soft hyphen":        "a\u00adb",
	}
}

// notText are the cases of every field that is text, or an enum.
func notText(field string) fieldCases {
	return casesOf(field).refuse("the field is text, quoted in YAML if it looks like something else",
		values{"is a number": int64(12), "is a boolean": true, "is a list": []any{"a"}, "is a mapping": object{}}, "must be of type string")
}

// text is a field of so many characters.
func text(field string, least, most int) fieldCases {
	return notText(field).
		refuse("what is not there is left out", values{"empty": ""}, fmt.Sprintf("at least %d chars long", least)).
		say("texts are bounded", values{"too long": letters(most + 1)}, fmt.Sprintf("%s: Too long: may not be more than %d", field, most)).
		accept("the longest", values{"longest": letters(most)})
}

// printableText is a text of up to 64 printable ASCII characters. subject is the beginning of what
// the user reads.
func printableText(field, subject string) fieldCases {
	return text(field, 1, 64).pattern(subject+" must be printable ASCII characters, without a line break",
		"blank", "blank at end", "slash", "parent folder", "backslash", "percent", "template")
}

// header is a field with the name of a header.
func header(field string) fieldCases {
	return text(field, 1, 128).pattern(headerMessage, "percent"). // a token of RFC 9110
									refuse("no header is called so", values{
			"with colon": "X-A:", "with comma": "X-A,X-B", "with quotation mark": `"X-A"`, "with bracket": "X[A]", "with equals sign": "a=b",
		}, headerMessage)
}

// pointer is a field with a JSON pointer.
func pointer(field string) fieldCases {
	return text(field, 2, 256).
		refuse("the pointer leads nowhere", values{
			"without a slash": "event", "of a URI fragment": "#/event", "with a tilde": "/a~b", "that ends in a tilde": "/a~", "with an unknown escape": "/a~2",
			"of JSONPath": "$.event.id", "with a blank first": " /event", "with a line break first": "\n/event", "of 9 levels": strings.Repeat("/a", 9),
		}, pointerMessage).
		refuse("a slash alone is rather a typing error", values{"to the empty name": "/"}, "at least 2 chars long").
		refuse("pointers are bounded in bytes", values{"of 257 bytes": "/" + strings.Repeat("ä", 128)}, pointerBytesMessage).
		accept("the longest", values{"longest": "/" + letters(255)})
}

// timestamp is a field that is a metav1.Time. The format date-time has no objection to most of what
// that cannot be.
func timestamp(field string) fieldCases {
	const reason = "a time that Go cannot read is one that no controller can read"
	return casesOf(field).
		refuse(reason, values{
			"is a number": int64(1767268800), "is a word": "yesterday", "is a date": "2026-01-31", "has no offset": "2026-01-31T12:00:00", "is of no day": "2026-02-30T12:00:00Z",
		}, "must be of type date-time").
		refuse(reason, values{
			"is in lower case": "2026-01-31t12:00:00z", "has an odd offset": "2026-01-31T12:00:00+99:99", "has an odd separator": "2026-01-31T12:00:00x5Z",
			"has something behind": "2026-01-31T12:00:00ZTail", "has an offset of 24 h": "2026-01-31T12:00:00+24:00",
		}, "should match").
		refuse(reason, values{"is empty": "", "has a line break": "2026-01-31T12:00:00Z\n"})
}

// enum is a field that has one of some values, as users read them. good is the one that the bad
// values are made of.
func enum(field, good string, supported ...string) fieldCases {
	c := notEnum(field, good, oneOf(supported...))
	for _, value := range supported {
		c.accept("each value", values{value: value})
	}
	return c
}

// oneOf is what users read of an enum.
func oneOf(supported ...string) string {
	return `supported values: "` + strings.Join(supported, `", "`) + `"`
}

// notEnum are values that no enum can be. All but those of another type are made of one that it can
// be.
func notEnum(field, good, supported string) fieldCases {
	c := notText(field)
	for name, value := range map[string]string{
		"empty": "", "unknown": "unknown", "in lower case": strings.ToLower(good) + "x", "with a blank at the end": good + " ",
		"with a line break": good + "\n", "with a soft hyphen": good + "\u00ad", "twice": good + "," + good,
	} {
		c.unsupported("values are spelt in one way", supported, values{name: value})
	}
	return c
}

// unsupported adds values that an enum has not.
func (c fieldCases) unsupported(reason, supported string, bad values) fieldCases {
	for name, value := range bad {
		c.say(reason, values{name: value}, fmt.Sprintf("%s: Unsupported value: %q: %s", c.field, value, supported))
	}
	return c
}

// number is a field that is a whole number between these.
func number(field string, least, most int64) fieldCases {
	atLeast, atMost := fmt.Sprintf("greater than or equal to %d", least), fmt.Sprintf("less than or equal to %d", most)
	c := casesOf(field).
		refuse("numbers are bounded", values{"of 64 bits": int64(1) << 62}, atMost).
		refuse("the number is a whole one", values{"fractional": 200.5}, "must be of type int").
		refuse("numbers are not quoted", values{"is text": "200"}, "must be of type integer").
		refuse("true is no number", values{"is a boolean": true}, "must be of type int").
		accept("the limits", values{"least": least, "most": most})
	for name, tc := range map[string]struct {
		value int64
		want  string
	}{"too small": {least - 1, atLeast}, "negative": {-most, atLeast}, "too great": {most + 1, atMost}} {
		c.say("numbers are bounded", values{name: tc.value}, fmt.Sprintf("%s: Invalid value: %d", field, tc.value), tc.want)
	}
	return c
}

// list is a field that is a list of so many such elements.
func list(field string, most int, element func(i int) any) fieldCases {
	many := make([]any, most+1)
	for i := range many {
		many[i] = element(i)
	}
	return casesOf(field).
		refuse("an empty list is left out", values{"empty": []any{}}, "at least 1 items").
		say("lists are bounded", values{"too many": many}, fmt.Sprintf("%s: Too many: %d: must have at most %d items", field, most+1, most)).
		refuse("a list is a list even with one element", values{"is text": "a"}, "must be of type array").
		refuse("a list has dashes", values{"is a mapping": object{}}, "must be of type array").
		say("null is no element", values{"with null": []any{nil}}, field+"[0]: Invalid value: \"null\"").
		accept("the longest list", values{"longest": many[:most]})
}

// mapping is a field with fields. text is what somebody may write instead.
func mapping(field, text string) fieldCases {
	c := casesOf(field).refuse("the field has fields",
		values{"is a text": text, "is a list": []any{}, "is a number": int64(1), "is a boolean": true}, "must be of type object")
	maps.Copy(c.bad, unknown(field+".unknown", "a"))
	return c
}

// unknown is a field that there is not.
func unknown(field string, value any) map[string]badField {
	return map[string]badField{field: {
		reason: "a misspelt field is not ignored", field: field, value: value, want: []string{fmt.Sprintf("unknown field %q", field)},
	}}
}

// refused are the cases that must be refused.
func refused(fields ...fieldCases) map[string]badField {
	tables := make([]map[string]badField, len(fields))
	for i, c := range fields {
		tables[i] = c.bad
	}
	return merge(tables...)
}

// accepted are the cases that must be accepted.
func accepted(fields ...fieldCases) map[string]goodField {
	tables := make([]map[string]goodField, len(fields))
	for i, c := range fields {
		tables[i] = c.good
	}
	return merge(tables...)
}

// merge joins tables.
func merge[C any](tables ...map[string]C) map[string]C {
	all := map[string]C{}
	for _, table := range tables {
		for name, tc := range table {
			if _, ok := all[name]; ok {
				panic("two cases are called " + name)
			}
			all[name] = tc
		}
	}
	return all
}

// testRefused sends an object again and again with one field bad.
func testRefused(t *testing.T, good string, fields ...fieldCases) {
	t.Helper()
	testBadFields(t, good, refused(fields...))
}

// testAccepted stores an object again and again with one field changed.
func testAccepted(t *testing.T, good string, fields ...fieldCases) {
	t.Helper()
	testGoodFields(t, good, accepted(fields...))
}

// testBadFields sends an object again and again with one field bad.
func testBadFields(t *testing.T, good string, cases map[string]badField) {
	t.Helper()
	namespace := env.Namespace(t)
	if err := env.Client.Create(t.Context(), parse(t, namespace, good), client.DryRunAll, strict); err != nil {
		t.Fatalf("the good object is refused: %v", err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := parse(t, namespace, good)
			set(t, object, tc.field, tc.value)
			checkRefused(t, tc.reason, env.Client.Create(t.Context(), object, client.DryRunAll, strict), tc.want...)
		})
	}
}

// testGoodFields stores an object again and again with one field changed, and reads it.
func testGoodFields(t *testing.T, good string, cases map[string]goodField) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := parse(t, env.Namespace(t), good)
			set(t, object, tc.field, tc.value)
			if err := env.Client.Create(t.Context(), object, strict); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			checkStored(t, tc, object)
		})
	}
}

// testBadStatus writes the status of an object again and again with one field bad.
func testBadStatus(t *testing.T, good string, cases map[string]badField) {
	t.Helper()
	object := parse(t, env.Namespace(t), good)
	env.Create(t, object)
	status := map[string]any{"conditions": []any{goodCondition()}}
	set(t, object, "status", status)
	if err := env.Client.Status().Update(t.Context(), object, client.DryRunAll, strict); err != nil {
		t.Fatalf("the good status is refused: %v", err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := read(t, object)
			set(t, object, "status", status)
			set(t, object, tc.field, tc.value)
			checkRefused(t, tc.reason, env.Client.Status().Update(t.Context(), object, client.DryRunAll, strict), tc.want...)
		})
	}
}

// testGoodStatus writes the status of an object again and again with one field changed, and reads
// it.
func testGoodStatus(t *testing.T, good string, cases map[string]goodField) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := parse(t, env.Namespace(t), good)
			env.Create(t, object)
			set(t, object, tc.field, tc.value)
			if err := env.Client.Status().Update(t.Context(), object, strict); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			checkStored(t, tc, object)
		})
	}
}

// checkStored fails the test unless the field is stored as it should be and the object can be read.
func checkStored(t *testing.T, tc goodField, object client.Object) {
	t.Helper()
	want, field := tc.want, tc.stored
	if want == nil {
		want = tc.value
	}
	if field == "" {
		field = tc.field
	}
	stored := read(t, object)
	if diff := cmp.Diff(want, get(t, stored, field)); diff != "" {
		t.Errorf("%s: %s as stored (-want +got):\n%s", tc.reason, field, diff)
	}
	decode(t, stored)
}
