/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/sluice-dev/sluice/test/framework/localcluster"
)

const usage = `Runs a cluster of one real node on this machine, for end-to-end tests.
Usage, in the project's root folder, as root:

  cluster check               say whether a node can run here
  cluster up                  start one, until Ctrl-C
  cluster run COMMAND...      start one, run a command in its network, and stop it
  cluster exec COMMAND...     run a command in the network of the one that runs
  cluster down                stop the one that runs, remove what one has left

  --image TARBALL             an image to import, before up or run; may be repeated

Commands get a KUBECONFIG. make e2e builds what this needs; see CONTRIBUTING.md.
`

// The kernel kills a process whose parent's thread has ended, if it was asked to, as the children
// are (localcluster.Attributes). The main thread ends last of all, so this keeps the main
// goroutine, which starts the children, on it.
func init() { runtime.LockOSThread() }

func main() {
	err := run(context.Background(), os.Args[1:])
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
	case ok && exit.Exited(): // the command has said what is wrong
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var images []string
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.Usage = func() { fmt.Print(usage) }
	flags.Func("image", "", func(tarball string) error { images = append(images, tarball); return nil })
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	folder, err := openFolder()
	if err != nil {
		return err
	}
	verb, command := flags.Arg(0), flags.Args()[min(1, flags.NArg()):]
	switch {
	case verb == "":
		return errors.New("say what to do: check, up, run, exec or down; see --help")
	case (verb == "run" || verb == "exec") && len(command) == 0:
		return fmt.Errorf("%s needs a command", verb)
	case verb != "run" && verb != "exec" && len(command) > 0:
		return fmt.Errorf("unexpected argument %q", command[0])
	}
	switch verb {
	case "check":
		_, err := thisMachine(ctx).check()
		return err
	case "up", "run":
		return up(ctx, folder, images, command)
	case "exec":
		pid, err := folder.running(nodePIDFile)
		if err != nil {
			return err
		}
		return runCommand(ctx, folder, pid, command)
	case "down":
		return folder.down(ctx)
	default:
		return fmt.Errorf("unknown command %q; see --help", verb)
	}
}

// up runs a node until a signal comes, something fails or the command has ended, if there is one.
func up(ctx context.Context, folder folder, images, command []string) error {
	cniFolder, err := thisMachine(ctx).check()
	if err != nil {
		return err
	}
	ctx, fail, hurry := localcluster.Notify(ctx)
	defer fail(nil)
	unlock, err := folder.prepare()
	if err != nil {
		return err
	}
	defer unlock()
	defer folder.clean()

	children := &localcluster.Children{Folder: string(folder), Fail: fail, Hurry: hurry}
	c := &cluster{folder: folder, cniFolder: cniFolder, images: images, children: children}
	err = c.start(ctx)
	switch {
	case err != nil:
	case len(command) > 0:
		err = runCommand(ctx, folder, c.namespaces, command)
	default:
		fmt.Printf("Run commands in its network, from another terminal:\n  %s exec %s get pods --all-namespaces\nCtrl-C stops it.\n", os.Args[0], c.kubectl)
		<-ctx.Done()
	}
	// What ended the context is the reason; what the step in progress made of that is not.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	// Nothing of it is needed any more.
	children.Stop(false)
	if errors.Is(err, localcluster.ErrSignalled) && len(command) == 0 {
		fmt.Println("Stopped.")
		return nil
	}
	return err
}

// runCommand runs a command in the node's network, and nothing else of it: files and processes are
// the machine's.
func runCommand(ctx context.Context, folder folder, pid int, command []string) error {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target=" + strconv.Itoa(pid), "--net", "--"}, command...)...) //nolint:gosec // the user says what to run
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+folder.in(kubeconfigFile))
	cmd.SysProcAttr = localcluster.Attributes(syscall.SIGKILL)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = localcluster.StopLimit
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return nil
}
