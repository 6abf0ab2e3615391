#!/bin/sh
# Install the system programs that tests need: with apt, when one is missing and we are root.
# Otherwise the tests that need it are skipped and say so; with CI=true such a skip is a failure.
set -u
packages=""
command -v redis-server >/dev/null 2>&1 || packages="$packages redis-server"
command -v chromium >/dev/null 2>&1 || packages="$packages chromium"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
  packages="$packages postgresql"
command -v tesseract >/dev/null 2>&1 || packages="$packages tesseract-ocr tesseract-ocr-tur"
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing:$packages"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 - a list of packages
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } >/dev/null ||
    echo "could not install:$packages"
else
  echo "missing:$packages. Tests that need them are skipped; install with: sudo apt-get install$packages"
fi
