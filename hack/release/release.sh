#!/usr/bin/env bash
# Makes what a release consists of, for make release. The argument is the version, such as v0.1.0 or v0.2.0-rc.1. In the
# folder dist there are then, and nothing else:
#
#   sluice_VERSION_SYSTEM_ARCHITECTURE           the operator, statically linked
#   sluice_VERSION_SYSTEM_ARCHITECTURE.cdx.json  what is in it, as a software bill of materials (CycloneDX)
#   sluice_VERSION_image.tar                     the image for linux/amd64 and linux/arm64, as an OCI layout
#   sluice-VERSION.tgz                           the chart, whose image is that one
#   install.yaml                                 config/default, whose image is that one
#   SHA256SUMS                                   the checksums of the others
#
# The same commit makes the same bytes, wherever and whenever; verify.sh finds out. PLATFORMS names fewer systems than all, such
# as linux/amd64.
#
# What speaks against a release is printed. With STRICT=1, as where a tag is released, it is an error.
#
# It reads HELM, which is a program that make knows how to build, and IMAGE, the image's name without its tag. make sets them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
	printf 'release: %s\n' "$1" >&2
	shift
	[ $# = 0 ] || printf '%s\n' "$@" >&2
	exit 1
}

warn() {
	[ "${STRICT:-}" != 1 ] || fail "$@"
	printf 'release: warning: %s\n' "$1" >&2
	shift
	[ $# = 0 ] || printf '%s\n' "$@" >&2
}

# Semantic versioning, without what may follow a plus: a tag of an image cannot have one.
number='(0|[1-9][0-9]*)'
part='(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)'
version=${1:-}
if ! [[ $version =~ ^v$number\.$number\.$number(-$part(\.$part)*)?$ ]]; then
	fail "VERSION must be a version such as v0.1.0 or v0.2.0-rc.1, not '$version': make release VERSION=v0.1.0"
fi
changed=$(git status --porcelain) || fail "this must be a clone of the repository: the commit is part of the image"
released=$version
[ -z "$changed" ] || version+=-dirty
# It is a label of objects.
[ ${#version} -le 63 ] || fail "VERSION may have 63 characters, and $version has ${#version}"
[ -z "$changed" ] || warn "these files are not committed, so this is $version:" "$changed"
# Who applies config/default of the tag, or installs charts/sluice of it, gets the versions that are committed.
grep -qxF "    newTag: $released" config/manager/kustomization.yaml || warn "config/manager/kustomization.yaml has another newTag than $released"
{ grep -qxF "appVersion: $released" charts/sluice/Chart.yaml && grep -qxF "version: ${released#v}" charts/sluice/Chart.yaml; } ||
	warn "charts/sluice/Chart.yaml has another version or appVersion than $released"
grep -q "^## $released " CHANGELOG.md || warn "CHANGELOG.md has no heading such as '## $released (2026-01-31)'"

# The compiler of the Dockerfile, which go gets if it is another one: each makes other bytes.
GOTOOLCHAIN=$(sed -n 's/^FROM .*golang:\([0-9.]*\) AS build$/go\1/p' Dockerfile)
export GOTOOLCHAIN
[ -n "$GOTOOLCHAIN" ] || fail "the Dockerfile does not say which Go builds the operator"
make --no-print-directory bin/image bin/release "$HELM" controlplane
kubectl=$(hack/controlplane/build.sh)/kubectl
# Everything that has a time has that of the commit.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022
rm -rf dist
work=dist/.work
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

folders=()
for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	os=${platform%/*} arch=${platform#*/}
	binary=dist/sluice_${version}_${os}_$arch
	GOOS=$os GOARCH=$arch make --no-print-directory build VERSION="$version" BINARY="$binary"
	bin/release --program="$binary" --version="$version" --created="$SOURCE_DATE_EPOCH" --output="$binary.cdx.json"
	if [ "$os" = linux ]; then
		mkdir -p "$work/$arch/bin"
		cp LICENSE "$work/$arch/LICENSE"
		cp "$binary" "$work/$arch/bin/manager"
		folders+=(--folder="$work/$arch")
	fi
done
if [ ${#folders[@]} -gt 0 ]; then
	bin/image --format=oci "${folders[@]}" --build-arg=VERSION="$version" --build-arg=REVISION="$(git rev-parse HEAD)" --tag="$IMAGE:$version" \
		--output="dist/sluice_${version}_image.tar"
fi

HELM=$HELM KUBECTL=$kubectl IMAGE=$IMAGE hack/release/manifests.sh "$version" dist

rm -rf "$work"
(cd dist && sha256sum -- * >SHA256SUMS)
echo "dist holds $version:"
cat dist/SHA256SUMS
