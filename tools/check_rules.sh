#!/bin/sh
# Check alerting rules, their unit tests and the Alertmanager example with Prometheus' own tools.
set -eu
if ! command -v promtool >/dev/null 2>&1 || ! command -v amtool >/dev/null 2>&1; then
    echo "left out: promtool and amtool are missing; install the Debian packages prometheus and prometheus-alertmanager"
    exit 0
fi
promtool check rules deploy/prometheus/*rules*.yml
for file in deploy/prometheus/*test*.yml; do
    [ ! -e "$file" ] || promtool test rules "$file"
done
amtool check-config deploy/alertmanager/alertmanager.yml
