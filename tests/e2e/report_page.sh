#!/bin/bash
# The report's page in a real browser: details by pointer and keyboard, switches, axes, zoom, threads, numbers against
# SQL, and a store whose texts attack the page. Needs chromium, chromedriver, python3 and sqlite3; skips without them.
BUILD=${BUILD:-build}
for program in chromium chromedriver python3 sqlite3; do
  command -v $program >/dev/null || { echo "1..0 # SKIP $program is not installed"; exit 0; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
REPORT_STORE_OUT=$folder "$BUILD/tests/test_report_store" >/dev/null ||
  { echo "Bail out! no store to report on"; exit 1; }
"$BUILD/hyperscale" compare dms vanilla --db "$folder/hostile.db" --json >"$folder/compare.json" ||
  { echo "Bail out! no comparison"; exit 1; }
python3 "$(dirname "$0")/report_page.py" "$folder"
