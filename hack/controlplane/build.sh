#!/usr/bin/env bash
# Prints the folder that holds kube-apiserver, etcd and kubectl, and fills it first where needed.
#
# The order is: KUBEBUILDER_ASSETS, if set; what an earlier run left under bin/controlplane/; prebuilt binaries
# by setup-envtest, tried for SLUICE_DOWNLOAD_TIMEOUT (20 s by default, 0 skips it); else a build from the Go
# modules named in go.mod beside this file (about 10 minutes on 2 cores with a cold cache). Progress goes to standard
# error, the folder's path alone to standard output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
binaries=(kube-apiserver etcd kubectl)

say() { printf '%s\n' "$*" >&2; }

complete() { # complete DIR: does DIR hold every binary?
	local binary
	for binary in "${binaries[@]}"; do
		[ -x "$1/$binary" ] || return 1
	done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
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
dir="$root/bin/controlplane/kubernetes-$kubernetes-etcd-$etcd-$(go env GOOS)-$(go env GOARCH)"

if complete "$dir"; then
	printf '%s\n' "$dir"
	exit 0
fi

# Two commands that start at once must not build twice nor see half a folder: one holds the lock,
# and the folder gets its name only when it is whole.
mkdir -p "$root/bin/controlplane"
exec 9>"$root/bin/controlplane/.lock"
if ! flock --nonblock 9; then
	say "another command is preparing the control plane; waiting for it"
	flock 9
fi
if complete "$dir"; then
	printf '%s\n' "$dir"
	exit 0
fi
rm -rf "$root"/bin/controlplane/.partial-*
partial=$(mktemp -d "$root/bin/controlplane/.partial-XXXXXX")
trap 'rm -rf "$partial"' EXIT

download() {
	local limit=${SLUICE_DOWNLOAD_TIMEOUT:-20} found
	[ "$limit" != 0 ] || return 1
	say "looking for prebuilt binaries of Kubernetes $kubernetes (for at most $limit s; SLUICE_DOWNLOAD_TIMEOUT=0 skips this)"
	go build -modfile="$root/hack/tools/go.mod" -o "$partial/.setup-envtest" sigs.k8s.io/controller-runtime/tools/setup-envtest >&2 || return 1
	found=$(timeout "$limit" "$partial/.setup-envtest" use "${kubernetes#v}" --bin-dir "$partial/.download" --print path 2>/dev/null) || return 1
	[ -n "$found" ] && complete "$found" || return 1
	local binary
	for binary in "${binaries[@]}"; do
		mv "$found/$binary" "$partial/$binary"
	done
	chmod -R u+w "$partial/.download" && rm -rf "$partial/.download"
}

# progress turns the package names that go build -v prints into one line every 15 seconds.
progress() {
	local what=$1 start=$SECONDS last=$SECONDS count=0 line
	while IFS= read -r line; do
		case "$line" in
		\#* | *:* | *' '*) say "$line" ;; # not a package: what the compiler says, or a download
		*) count=$((count + 1)) ;;
		esac
		if [ $((SECONDS - last)) -ge 15 ]; then
			last=$SECONDS
			say "  $what: $count packages compiled, $((SECONDS - start)) s"
		fi
	done
	say "  $what: done, $count packages compiled, $((SECONDS - start)) s"
}

build() { # build NAME OUTPUT LDFLAGS PACKAGE...
	local name=$1 output=$2 ldflags=$3
	shift 3
	say "building $name"
	# Package names come on standard error, and the pipe keeps go's exit status by pipefail.
	go build -v -trimpath -ldflags "-s -w $ldflags" -o "$output" "$@" 2>&1 | progress "$name"
}

if ! download; then
	say "no prebuilt binaries to be had; building them from Go modules (about 10 minutes on 2 cores, once)"
	rm -rf "$partial/.download"
	minor=${kubernetes#v1.}
	minor=${minor%%.*}
	# Unstamped, the server reports a version that kubectl and Helm cannot parse.
	stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
	build "etcd $etcd" "$partial/etcd" "" go.etcd.io/etcd/server/v3
	build "kube-apiserver and kubectl $kubernetes" "$partial/" "$stamp" k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
fi

rm -f "$partial/.setup-envtest"
rm -rf "$dir"
chmod 755 "$partial"
mv "$partial" "$dir"
trap - EXIT
printf '%s\n' "$dir"
