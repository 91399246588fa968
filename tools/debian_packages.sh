#!/bin/sh
# Installs the Debian packages named as arguments where it may (root, or sudo without a password).
# Where it may not, says which tests will be skipped; under CI=true that is a failure.
set -u

tests_of() {
    case $1 in
        orthanc | orthanc-dicomweb) echo "tests/e2e: the round trip with a real PACS" ;;
        dcmtk) echo "tests that send with storescu or read reports with dsrdump" ;;
        poppler-utils) echo "tests that read the PDF report with pdfinfo" ;;
        dicom3tools) echo "tests that validate every written object with dciodvfy" ;;
        pixelmed-apps | default-jre-headless) echo "tests that validate the SR's template" ;;
        poppler-utils) echo "tests that read written PDF with pdfinfo" ;;
        postgresql) echo "tests of the node on PostgreSQL" ;;
        systemd) echo "tests that verify the systemd units" ;;
        chromium | npm) echo "tests/e2e/test_viewer.py: the results in a real viewer" ;;
        *) echo "tests that need $1" ;;
    esac
}

# npm may have come with a Node.js from elsewhere, which Debian's own would conflict with.
is_installed() {
    [ "$1" = npm ] && command -v npm >/dev/null && return 0
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
    for package; do is_installed "$package" || echo "$package"; done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Debian starts a service when its package is installed; a policy file keeps Orthanc from listening.
install_quietly() {
    policy=/usr/sbin/policy-rc.d
    kept=yes
    if [ ! -e $policy ]; then
        kept=no
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod +x $policy
    fi
    as_root apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "$@"
    result=$?
    [ $kept = yes ] || as_root rm -f $policy
    return $result
}

missing=$(missing_of "$@")
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    reason="this is not Debian or Ubuntu"
elif ! as_root true 2>/dev/null; then
    reason="only root may install them"
else
    # The names hold no spaces, so splitting at spaces is meant.
    # shellcheck disable=SC2086
    install_quietly $missing >&2 || for package in $missing; do
        install_quietly "$package" >&2 # one that this release lacks must not hold up the others
    done
    reason="apt-get could not install them"
fi

missing=$(missing_of "$@")
[ -z "$missing" ] && exit 0
echo "setup: missing Debian packages ($reason); these tests will be skipped:" >&2
for package in $missing; do
    echo "setup:   $package: $(tests_of "$package")" >&2
done
if [ "${CI:-}" = true ]; then
    echo "setup: CI=true, so a missing package is a failure" >&2
    exit 1
fi
