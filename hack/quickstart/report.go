/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	sluicev1alpha1 "github.com/sluice-dev/sluice/api/v1alpha1"
	"github.com/sluice-dev/sluice/ingest/signature"
)

// The bodies that the printed commands send. The ë is there because a signature is over bytes, not
// characters.
const (
	sha256Body    = `{"order": 1001, "customer": "Zoë"}`
	ripemd128Body = `{"parcel": 4711, "recipient": "Zoë"}`
)

// report returns what the user is told when all is ready.
func report(ingestURL, kubectl string, triggers []sluicev1alpha1.WebhookTrigger, samples []*unstructured.Unstructured) (string, error) {
	var urls, commands strings.Builder
	for _, trigger := range triggers {
		url := ingestURL + trigger.Status.Path
		fmt.Fprintf(&urls, "  %-8s %-11s %s\n", trigger.Name, trigger.Spec.Algorithm, url)
		key, err := sampleKey(trigger.Spec.SecretRef, samples)
		if err != nil {
			return "", err
		}
		switch trigger.Spec.Algorithm { //nolint:exhaustive // the samples have these two
		case sluicev1alpha1.AlgorithmSHA256:
			fmt.Fprintf(&commands, "Send a request to %s, in another terminal. The answer is 202 and the name of a FlowRun:\n\n%s\n",
				trigger.Name, sha256Command(url, key))
			commands.WriteString(`Change a character of what is sent, such as "$body" to "$body." in the last line but one,` +
				"\nand the answer is 401 and there is no FlowRun.\n\n")
		case sluicev1alpha1.AlgorithmRIPEMD128:
			command, err := ripemd128Command(url, key)
			if err != nil {
				return "", fmt.Errorf("%s: %w", trigger.Name, err)
			}
			fmt.Fprintf(&commands, "Send a request to %s. OpenSSL has no RIPEMD-128, so this one is signed already:\n\n%s\n", trigger.Name, command)
		}
	}
	return fmt.Sprintf("Ingest URLs:\n%s\n%sList the FlowRuns, in this folder:\n\n%s --kubeconfig %s get flowruns\n\nLogs: %s\n",
		&urls, &commands, quote(kubectl), inFolder(kubeconfigFile), inFolder("*.log")), nil
}

// sha256Command signs and sends, in any shell that has the syntax of sh.
func sha256Command(url, key string) string {
	return "body=" + quote(sha256Body) + "\n" +
		// What comes before the digits depends on the version of OpenSSL.
		`signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac ` + quote(key) + ` | sed 's/.* //')` + "\n" +
		curl(`"X-HMAC-HASH: $signature"`, `"$body"`, url)
}

func ripemd128Command(url, key string) (string, error) {
	signed, err := signature.Sign(signature.Scheme{Algorithm: signature.RIPEMD128}, signature.Key{Secret: []byte(key)}, signature.Unsigned{Body: []byte(ripemd128Body)})
	if err != nil {
		return "", err
	}
	return curl(quote("X-HMAC-HASH: "+signed.Headers[signature.DefaultHeader][0]), quote(ripemd128Body), url), nil
}

// curl takes words as the shell is to read them. A proxy would not reach a loopback address.
func curl(header, body, url string) string {
	return "curl -i --noproxy '*' -H 'Content-Type: application/json' \\\n" +
		"  -H " + header + " \\\n" +
		"  --data-binary " + body + " \\\n" +
		"  " + url + "\n"
}

// quote makes a string one word for a shell.
func quote(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// sampleKey returns what a Secret of the samples holds.
func sampleKey(ref sluicev1alpha1.SecretKeyReference, samples []*unstructured.Unstructured) (string, error) {
	for _, sample := range samples {
		if sample.GetKind() != "Secret" || sample.GetName() != ref.Name {
			continue
		}
		encoded, _, err := unstructured.NestedString(sample.Object, "data", ref.Key)
		if err != nil {
			return "", fmt.Errorf("read the sample Secret: %w", err)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return "", fmt.Errorf("read the sample Secret: %w", err)
		}
		return string(key), nil
	}
	return "", fmt.Errorf("there is no Secret %q in %s", ref.Name, sampleFolder)
}

// findKubectl returns how to call the user's kubectl, else the one that came with the control
// plane.
func findKubectl(assets string) string {
	const name = "kubectl"
	if _, err := exec.LookPath(name); err == nil || assets == "" {
		return name
	}
	built := filepath.Join(assets, name)
	if _, err := os.Stat(built); err != nil {
		return name
	}
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, built); err == nil && filepath.IsLocal(relative) {
			return relative
		}
	}
	return built
}
