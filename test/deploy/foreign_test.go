/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// foreign are the CustomResourceDefinitions of other projects that the chart or the documentation
// has objects of.
//
// The modules are not in go.mod, because nothing of them is built and their own requirements would
// raise the operator's. They are downloaded as any module is, and compared with the checksum here,
// which is what go.sum would have.
var foreign = []struct {
	module, sum string
	files       []string
}{
	{
		"sigs.k8s.io/gateway-api@v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
		[]string{"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	},
	{
		"github.com/cert-manager/cert-manager@v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
		[]string{"deploy/crds/cert-manager.io_certificates.yaml"},
	},
	{
		"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		[]string{
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
	},
	{
		"github.com/fluxcd/source-controller@v1.9.6", "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=",
		[]string{
			"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
			"config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
		},
	},
	{
		"github.com/fluxcd/kustomize-controller@v1.9.6", "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
		[]string{"config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
	},
	{
		"github.com/fluxcd/helm-controller@v1.4.0", "h1:rkm8rmB6Na7eNc4pJOnvtXEaJ19iKluRtayHKjBxcUM=",
		[]string{"config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"},
	},
	{
		"github.com/argoproj/argo-cd/v3@v3.4.0", "h1:yZwfaOIzE/aQTA52mOfeZQbribmyxKYvMgirQja4eX0=",
		[]string{"manifests/crds/application-crd.yaml"},
	},
	{
		"github.com/external-secrets/external-secrets@v1.3.2", "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
		[]string{"config/crds/bases/external-secrets.io_externalsecrets.yaml"},
	},
	{
		"github.com/bitnami-labs/sealed-secrets@v0.40.0", "h1:rvCP35JL8ZV5LNA2SrwNR6iLyoM3ulrSFWN0lBtYEYI=",
		[]string{"helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml"},
	},
}

// foreignFiles returns the files of the foreign definitions, which it downloads if they are not
// there.
func foreignFiles() ([]string, error) {
	empty, err := os.MkdirTemp("", "sluice-foreign")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(empty) //nolint:errcheck // it is empty
	var files []string
	for _, f := range foreign {
		download := exec.Command("go", "mod", "download", "-json", f.module) //nolint:noctx // of the table above, before any test has a context
		// Outside of every module: go.mod and go.sum of this one have nothing to do with it.
		download.Dir, download.Env = empty, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, failure := download.Output()
		var module struct{ Dir, Sum, Error string }
		if err := json.Unmarshal(out, &module); err != nil {
			return nil, fmt.Errorf("download %s: %w", f.module, failure)
		}
		if module.Error != "" {
			return nil, fmt.Errorf("download %s: %s", f.module, module.Error)
		}
		if module.Sum != f.sum {
			return nil, fmt.Errorf("download %s: its checksum is %s, not %s", f.module, module.Sum, f.sum)
		}
		for _, file := range f.files {
			files = append(files, filepath.Join(module.Dir, file))
		}
	}
	return files, nil
}
