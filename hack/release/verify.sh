#!/usr/bin/env bash
# Makes the release of the commit that is checked out twice, as two people would: in two clones of which one is in a folder of
# a longer name, with another umask, time zone and language. Fails if a single byte differs. make release-verify runs it;
# VERSION and PLATFORMS are those of make release.
#
# The image has another name than usual, which the chart and install.yaml must have too.
#
# Both use the same tools, and Go's build cache: whether the compiler makes the same of the same is Go's affair.
set -euo pipefail
image=registry.example/team/sluice
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

release() { # release CLONE
	git clone --quiet "$root" "$1"
	mkdir "$1/bin"
	ln -s "$root/bin/tools" "$root/bin/controlplane" "$1/bin/"
	# A clone's files are new, and make would take the tools for older than what they are made of.
	touch -d @0 "$1/hack/tools/go.mod"
	make --no-print-directory -C "$1" release VERSION="$VERSION" IMAGE="$image" >"$1.log" 2>&1 || {
		cat "$1.log" >&2
		exit 1
	}
}

begin=$SECONDS
release "$folder/one"
middle=$SECONDS
(
	umask 077
	export TZ=Asia/Kathmandu LANG=tr_TR.UTF-8 LC_ALL=
	release "$folder/the-other-whose-name-is-longer"
)
if ! diff --recursive --brief "$folder/one/dist" "$folder/the-other-whose-name-is-longer/dist" >&2; then
	echo "the same commit makes different releases" >&2
	exit 1
fi
(cd "$folder/one/dist" && sha256sum --quiet --check SHA256SUMS)
if ! tar -xzOf "$folder/one/dist/sluice-${VERSION#v}.tgz" sluice/values.yaml | grep -qxF "  repository: $image" ||
	! grep -q " image: $image:$VERSION\$" "$folder/one/dist/install.yaml"; then
	echo "the chart or install.yaml does not have the image $image:$VERSION" >&2
	exit 1
fi
cat "$folder/one/dist/SHA256SUMS"
echo "two builds of $(git -C "$root" rev-parse --short HEAD) as $VERSION are the same, byte for byte ($((middle - begin)) s and $((SECONDS - middle)) s)"
