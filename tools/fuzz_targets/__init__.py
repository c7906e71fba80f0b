"""What `tools.fuzz` feeds: every parser of bytes that another host chooses, and of files that people hand over.

A target takes any bytes. It may raise nothing: the errors that its parser declares are caught in it, so
whatever comes out is a find. Modules are imported in the target's maker, once they can be instrumented.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tools.fuzz_targets import answers, identity, packets, records, tunnels
from tools.fuzz_targets.target import Make

TARGETS: Final[Mapping[str, Make]] = MappingProxyType(
    {
        make.__name__: make
        for make in (
            answers.certificate,
            answers.dns,
            answers.exposition,
            answers.greetings,
            answers.resolver_files,
            answers.response,
            answers.scrape,
            answers.settings,
            answers.starttls,
            identity.directory,
            identity.microsoft,
            identity.sync_server,
            packets.echo,
            packets.hop_packets,
            packets.icmp_error,
            packets.kernel_entries,
            packets.netlink,
            packets.ntp,
            records.chain_files,
            records.changes,
            records.dispute,
            records.ledger_files,
            records.observations,
            records.witnesses,
            tunnels.azure,
            tunnels.ike,
            tunnels.vici,
            tunnels.wireguard,
            tunnels.xfrm,
        )
    }
)
