#!/usr/bin/env bash
# Makes the files of a release by which Sluice is installed: the chart and install.yaml, both of which name the image
# IMAGE:VERSION. release.sh runs it; a test does too. The arguments are the version and the folder to write into.
#
# It reads HELM and KUBECTL, which are programs, and IMAGE, the image's name without its tag.
set -euo pipefail
version=$1
output=$(realpath -- "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The chart's values, and its README, which is made of them, name the image that is committed.
cp -R charts/sluice "$work/sluice"
committed=$(sed -n 's/^  repository: //p' charts/sluice/values.yaml)
for file in values.yaml README.md; do
	text=$(<"charts/sluice/$file")
	[[ -n $committed && $text == *"$committed"* ]] || {
		echo "release: charts/sluice/$file does not name the image '$committed'" >&2
		exit 1
	}
	printf '%s\n' "${text//"$committed"/"$IMAGE"}" >"$work/sluice/$file"
done
"$HELM" package "$work/sluice" --version="${version#v}" --app-version="$version" --destination="$output" >&2

cat >"$work/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$work" config/default)]
images: [{name: "$committed", newName: "$IMAGE", newTag: "$version"}]
END
"$KUBECTL" kustomize "$work" >"$output/install.yaml"
