# The tarball runs on its own: its libraries are its own, and so are its models.
source "$(dirname "$0")/tap.sh"
[ "${BUILD:-build}" = build ] || skip_all "a sanitized build is not for distribution"
command -v patchelf > /dev/null || skip_all 'patchelf is missing'

output=$(make --no-print-directory dist 2>&1)
ok $? 'make dist'
tarball=$(ls -t dist/*.tar.gz | head -n 1)
mkdir "$tmp/elsewhere"
tar -C "$tmp/elsewhere" -xzf "$tarball"
program=$(echo "$tmp"/elsewhere/*/bin/hyperscale)
is "$(ldd "$program" | awk '$3 ~ /^\// {print $3}' | grep -vE "^$tmp/|/(libc|libm|libdl|librt|libpthread|libresolv)\.so")" '' \
  'every library but glibc comes with it'
is "$(ldd "$program" | grep -c 'not found')" 0 'none is missing'
exits 0 'thread 0: 8 tokens' 'it answers with the model that it ships' \
  env -i "$program" generate pocket-reasoner -m 8 'Find the least integer x >= 0 with x = 1 (mod 3) and x = 2 (mod 5).'
output=$(env -i "$program" run pocket --limit 1 --quiet --json --db "$tmp/store.db")
like "$output" '"generated": 96' 'it runs the plan that it ships'
done_testing
