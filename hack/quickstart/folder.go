/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

// folder holds all that is written, below the project's root. It is in .gitignore.
const folder = ".quickstart"

// What is in the folder besides the logs.
const (
	lockFile       = "lock"
	kubeconfigFile = "kubeconfig"
)

func inFolder(name string) string { return filepath.Join(folder, name) }

// prepareFolder makes the folder, locks it for this process and removes what an earlier one that
// was killed has left.
func prepareFolder() (unlock func(), err error) {
	if _, err := os.Stat(crdFolder); err != nil {
		return nil, fmt.Errorf("this is not the project's root folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for data: %w", err)
	}
	unlock, err = localcluster.Lock(inFolder(lockFile))
	if errors.Is(err, localcluster.ErrLocked) {
		return nil, fmt.Errorf("a quickstart is running in this folder already (it holds %s); stop it first", inFolder(lockFile))
	}
	if err != nil {
		return nil, err
	}
	removeTemporary()
	return unlock, nil
}

// removeTemporary removes data, keys and the way to a cluster that is no more; the logs stay. What
// cannot be removed is overwritten at the next start.
func removeTemporary() {
	_ = os.RemoveAll(inFolder(kubeconfigFile))
	(&localcluster.ControlPlane{Folder: folder}).Remove()
}
