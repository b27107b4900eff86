#!/usr/bin/env bash
# Prints the folder that holds kube-apiserver, etcd and kubectl, and fills it first where needed.
#
# The order is: KUBEBUILDER_ASSETS, if set; what an earlier run left under bin/controlplane/; prebuilt binaries
# by setup-envtest, tried for SLUICE_DOWNLOAD_TIMEOUT (20 s by default, 0 skips it); else a build from the Go
# modules named in go.mod beside this file (about 10 minutes on 2 cores with a cold cache). Progress goes to standard
# error, the folder's path alone to standard output.
#
# With the argument «node» it is the folder of what a node needs besides, under bin/node/: kube-controller-manager,
# kube-scheduler, kubelet and kube-proxy. They are always built (about 5 minutes more).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
say() { printf '%s\n' "$*" >&2; }

part=${1:-controlplane}
case "$part" in
controlplane) binaries=(kube-apiserver etcd kubectl) ;;
node) binaries=(kube-controller-manager kube-scheduler kubelet kube-proxy) ;;
*)
	say "unknown argument $part; there is only: node"
	exit 2
	;;
esac

complete() { # complete DIR: does DIR hold every binary?
	local binary
	for binary in "${binaries[@]}"; do
		[ -x "$1/$binary" ] || return 1
	done
}

if [ "$part" = controlplane ] && [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	if ! [ -x "$KUBEBUILDER_ASSETS/kube-apiserver" ] || ! [ -x "$KUBEBUILDER_ASSETS/etcd" ]; then
		say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS does not hold both kube-apiserver and etcd; unset it to have them built"
		exit 1
	fi
	printf '%s\n' "$KUBEBUILDER_ASSETS"
	exit 0
fi

cd "$here"
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
etcd=$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)
name="kubernetes-$kubernetes-etcd-$etcd"
[ "$part" = controlplane ] || name="kubernetes-$kubernetes"
dir="$root/bin/$part/$name-$(go env GOOS)-$(go env GOARCH)"

if complete "$dir"; then
	printf '%s\n' "$dir"
	exit 0
fi

# Two commands that start at once must not build twice nor see half a folder: one holds the lock,
# and the folder gets its name only when it is whole. What this script starts does not inherit the lock (9>&-): a process
# that go leaves behind must not hold it.
mkdir -p "$root/bin/$part"
exec 9>"$root/bin/$part/.lock"
if ! command -v flock >/dev/null; then
	say "there is no flock here: do not start two of these at the same time"
elif ! flock --nonblock 9; then
	say "another command is preparing ${dir#"$root"/}; waiting for it"
	flock 9
fi
if complete "$dir"; then
	printf '%s\n' "$dir"
	exit 0
fi
rm -rf "$root/bin/$part"/.partial-*
partial=$(mktemp -d "$root/bin/$part/.partial-XXXXXX")
trap 'rm -rf "$partial"' EXIT
# Not every command that is interrupted says so by its exit status, and the next one must not start then.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

download() {
	local limit=${SLUICE_DOWNLOAD_TIMEOUT:-20} found
	[ "$limit" != 0 ] || return 1
	say "looking for prebuilt binaries of Kubernetes $kubernetes (for at most $limit s; SLUICE_DOWNLOAD_TIMEOUT=0 skips this)"
	go build -modfile="$root/hack/tools/go.mod" -o "$partial/.setup-envtest" sigs.k8s.io/controller-runtime/tools/setup-envtest >&2 9>&- || return 1
	# In the foreground, so that Ctrl-C reaches it.
	found=$(timeout --foreground "$limit" "$partial/.setup-envtest" use "${kubernetes#v}" --bin-dir "$partial/.download" --print path 2>/dev/null 9>&-) || return 1
	[ -n "$found" ] && complete "$found" || return 1
	local binary
	for binary in "${binaries[@]}"; do
		mv "$found/$binary" "$partial/$binary"
	done
	chmod -R u+w "$partial/.download" && rm -rf "$partial/.download"
}

# progress turns the package names that go build -v prints into one line every 15 seconds, which also comes when there
# are none: linking takes long and prints nothing. Whatever else comes, such as errors, is passed on.
progress() {
	local what=$1 start=$SECONDS next=$((SECONDS + 15)) count=0 line part='' status limit='-t 15'
	[ "${BASH_VERSINFO[0]}" -ge 4 ] || limit='' # older ones cannot tell the end from time being up
	while :; do
		status=0
		# shellcheck disable=SC2086 # two words, or none
		IFS= read -r $limit line || status=$?
		part+=$line
		if [ "$status" -eq 0 ]; then
			case "$part" in
			\#* | *:* | *[[:space:]]*) say "$part" ;;
			*) count=$((count + 1)) ;;
			esac
			part=''
		elif [ "$status" -le 128 ]; then # the end; more than 128 means that the time was up
			[ -z "$part" ] || say "$part"
			return
		fi
		if [ "$SECONDS" -ge "$next" ]; then
			next=$((SECONDS + 15))
			say "  $what: $count packages compiled, $((SECONDS - start)) s"
		fi
	done
}

build() { # build NAME OUTPUT LDFLAGS PACKAGE...
	local name=$1 output=$2 ldflags=$3 start=$SECONDS
	shift 3
	say "building $name"
	# Package names come on standard error, and the pipe keeps go's exit status by pipefail.
	if ! go build -v -trimpath -ldflags "-s -w $ldflags" -o "$output" "$@" 2>&1 9>&- | progress "$name"; then
		say "building $name failed; see above"
		exit 1
	fi
	say "  $name: done, $((SECONDS - start)) s"
}

minor=${kubernetes#v1.}
minor=${minor%%.*}
# Unstamped, the server reports a version that kubectl and Helm cannot parse.
stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"

if [ "$part" = node ]; then
	say "building what a node needs from Go modules (about 5 minutes on 2 cores, once)"
	build "the node's parts $kubernetes" "$partial/" "$stamp" "${binaries[@]/#/k8s.io/kubernetes/cmd/}"
elif ! download; then
	say "no prebuilt binaries to be had; building them from Go modules (about 10 minutes on 2 cores, once)"
	rm -rf "$partial/.download"
	build "etcd $etcd" "$partial/etcd" "" go.etcd.io/etcd/server/v3
	build "kube-apiserver and kubectl $kubernetes" "$partial/" "$stamp" k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
fi

rm -f "$partial/.setup-envtest"
rm -rf "$dir"
chmod 755 "$partial"
mv "$partial" "$dir"
trap - EXIT
printf '%s\n' "$dir"
