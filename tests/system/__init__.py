"""The packaged agent under its unit, on a real kernel with systemd, in a virtual machine: `make test-system`."""
