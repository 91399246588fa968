#!/bin/sh
# Installs OHIF, as tests/e2e/viewer/package-lock.json pins it, into the folder $1, once a version.
# Where npm is absent or the package cannot be fetched, says so; under CI=true that is a failure.
set -u
folder=$1
locked=$(dirname "$0")/../tests/e2e/viewer

cmp -s "$locked/package-lock.json" "$folder/.installed" && exit 0

lacking() {
    echo "setup: no viewer ($1); the tests in a browser will be skipped" >&2
    if [ "${CI:-}" = true ]; then
        echo "setup: CI=true, so a missing viewer is a failure" >&2
        exit 1
    fi
    exit 0
}

command -v npm >/dev/null || lacking "npm is not installed"
mkdir -p "$folder"
cp "$locked/package.json" "$locked/package-lock.json" "$folder/"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund) >&2 || lacking "npm could not install it"
# Two thirds of the build are models and a microscope's viewer, which no test opens.
rm -rf "$folder/node_modules/@ohif/app/dist/ort" \
    "$folder/node_modules/@ohif/app/dist/dicom-microscopy-viewer"
cp "$locked/package-lock.json" "$folder/.installed"
