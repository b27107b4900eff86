/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package localcluster

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// ReadKustomization reads the objects of a kustomization that is nothing but a list of files.
func ReadKustomization(dir string) ([]*unstructured.Unstructured, error) {
	name := filepath.Join(dir, "kustomization.yaml")
	raw, err := os.ReadFile(name) //nolint:gosec // one of the project's folders
	if err != nil {
		return nil, fmt.Errorf("read a kustomization: %w", err)
	}
	var kustomization struct {
		metav1.TypeMeta `json:",inline"`
		Resources       []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(raw, &kustomization); err != nil {
		return nil, fmt.Errorf("%s: only resources are understood here: %w", name, err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range kustomization.Resources {
		file := filepath.Join(dir, resource)
		raw, err := os.ReadFile(file) //nolint:gosec // as above
		if err != nil {
			return nil, fmt.Errorf("read a resource of %s: %w", name, err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), len(raw))
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			if len(object.Object) == 0 { // a comment above the first document
				continue
			}
			if err := encodeStringData(object); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// encodeStringData turns stringData of a Secret into data, as the API server would: server-side
// apply notices a conflict with somebody else's data only in data.
func encodeStringData(object *unstructured.Unstructured) error {
	text, found, err := unstructured.NestedStringMap(object.Object, "stringData")
	if err != nil || !found {
		return err
	}
	for key, value := range text {
		if err := unstructured.SetNestedField(object.Object, base64.StdEncoding.EncodeToString([]byte(value)), "data", key); err != nil {
			return err
		}
	}
	unstructured.RemoveNestedField(object.Object, "stringData")
	return nil
}
