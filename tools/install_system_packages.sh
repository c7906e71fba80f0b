#!/bin/sh
# Install the Debian packages that the lab, the demo and the tests use. Prints what it does; asks for
# nothing when all are there. They are started by us only, each in its own namespace or on loopback:
# services that a package would start by itself are kept from starting.
set -eu
# What the lab runs in its namespaces; the demo takes no more.
PACKAGES="iproute2 iputils-ping nftables procps openssl strongswan-swanctl charon-systemd libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins nginx-light dnsmasq-base"
# The peers of the tests, and a compiler for the disk that loses power.
[ "${1:-}" = demo ] || PACKAGES="$PACKAGES bind9-dnsutils chrony curl gcc krb5-admin-server krb5-kdc libc6-dev openssh-server prometheus prometheus-alertmanager prometheus-node-exporter redis-server samba-ad-dc samba-ad-provision squid-openssl wireguard-go"
# What the benchmarks measure us against; no test needs it.
[ "${1:-}" != bench ] || PACKAGES="$PACKAGES fping prometheus-blackbox-exporter smokeping"
# A virtual machine with Debian's kernel, and what its root folder is made of: tests/system.
[ "${1:-}" != machine ] || PACKAGES="$PACKAGES qemu-system-x86 linux-image-cloud-amd64 busybox-static e2fsprogs kmod wireguard-tools systemd dbus python3 python3-venv"
# Debian's own Python comes without the means to make a virtual environment.
${PYTHON:-python3} -c 'import ensurepip' 2>/dev/null || PACKAGES="$PACKAGES python3 python3-venv"
missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "These Debian packages are missing:$missing" >&2
    echo "Install them as root: apt-get install --no-install-recommends$missing" >&2
    echo "Going on without them; what needs them will be left out, and said so." >&2
    exit 0
fi
echo "Installing Debian packages:$missing"
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy" && made=yes
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # the list is words
apt-get -qq install --no-install-recommends -y $missing > /dev/null
