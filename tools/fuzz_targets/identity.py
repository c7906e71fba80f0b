"""What domain controllers, synchronisation servers and Microsoft answer."""

from typing import Any

from tools.fuzz_targets.target import Run, Seeds


def directory() -> tuple[Run, Seeds]:
    """Read what a domain controller says: a root DSE, a key server's answer, an SMB negotiation, in two pieces."""
    from probes.kit.ad_answer import of_kerberos, of_ldap, of_smb  # noqa: PLC0415
    from probes.kit.ber import SEQUENCE, encode, encode_integer  # noqa: PLC0415
    from probes.kit.kerberos_message import SignOnQuestion  # noqa: PLC0415
    from probes.kit.ldap_message import RootQuestion  # noqa: PLC0415
    from probes.kit.smb_message import NegotiateQuestion  # noqa: PLC0415

    def run(data: bytes) -> None:
        root, realm, files = RootQuestion(), SignOnQuestion("x", "corp.lab"), NegotiateQuestion()
        half = len(data) // 2
        for question in (root, realm, files):
            for piece in (data[:half], data[half:], b""):
                if question.feed(piece) is not None:
                    break
        if root.found is not None:
            of_ldap(root.found, "corp.lab")
        if realm.found is not None:
            of_kerberos(realm.found)
        if files.found is not None:
            of_smb(files.found)

    texts = [
        encode(4, text) for text in (b"defaultNamingContext", b"DC=corp,DC=lab", b"currentTime", b"20261123234633.0Z")
    ]
    rows = [encode(SEQUENCE, texts[n], encode(0x31, texts[n + 1])) for n in (0, 2)]
    entry = encode(SEQUENCE, encode_integer(1), encode(0x64, encode(4), encode(SEQUENCE, *rows)))
    end = encode(SEQUENCE, encode_integer(1), encode(0x65, encode_integer(0, 0x0A), encode(4), encode(4)))
    fields = {0: encode_integer(5), 1: encode_integer(30), 4: encode(0x18, b"20261123234633Z"), 5: encode_integer(7)}
    fields |= {6: encode_integer(25), 9: encode(0x1B, b"CORP.LAB")}
    error = encode(0x7E, encode(SEQUENCE, *(encode(0xA0 | number, field) for number, field in fields.items())))
    header = b"\xfeSMB\x40\x00" + bytes(10) + b"\x01" + bytes(47) + b"\x41\x00\x03\x00\x11\x03" + bytes(60)
    return run, [entry + end, len(error).to_bytes(4) + error, len(header).to_bytes(4) + header]


def sync_server() -> tuple[Run, Seeds]:
    """Read what an Entra Connect server tells of itself, and judge it."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    from probes.kit.adsync_state import WANTED, Agreed, Server, gather, judge  # noqa: PLC0415
    from probes.kit.exposition import Sieve, Sifted, read  # noqa: PLC0415

    agreed = Agreed(
        warn=1.0,
        critical=2.0,
        password_warn=1.0,
        password_critical=2.0,
        collector_within=1e12,
        minimum_version=(2, 5),
        certificate_days=30,
    )

    def run(data: bytes) -> None:
        sieve = Sieve(WANTED)
        sieve.feed(b"up 1\n" + data + b"\n")
        found = sieve.finish()
        readings = read(found, text_string_to_metric_families) if isinstance(found, Sifted) else ()
        server = gather(readings) if isinstance(readings, tuple) else None
        if isinstance(server, Server):
            judge(server, agreed, 1e9)

    named = b'connector="a",type="ad",profile="Export"'
    page = b'adsync_collector_timestamp_seconds 9e8\nadsync_version_info{version="2.5.79.0"} 1\n'
    run_line = b'adsync_last_run_end_timestamp_seconds{%s,result="stopped-x"} 1\n' % named
    return run, [page + run_line, page + b'adsync_event_timestamp_seconds{id="1012"} 9e8\nadsync_staging_mode 1\n']


_BODIES = (
    b'{"access_token":"x","expires_in":3599,"token_type":"Bearer"}',
    b'{"value":[{"onPremisesSyncEnabled":true,"onPremisesLastSyncDateTime":"2026-11-23T13:41:07Z"}]}',
    b'{"value":[{"id":"AD2AADProvisioning.x","status":{"code":"Active","lastExecution":{"state":"Failed"}}}]}',
    b'{"value":[{"id":"OrgLiveID","service":"x","status":"investigating","origin":"customer"}]}',
    (
        b'{"@odata.count":2,"@odata.nextLink":"https://graph.microsoft.com/x?y","value":[{"userPrincipalName":"a@b",'
        b'"onPremisesProvisioningErrors":[{"propertyCausingError":"x","occurredDateTime":"2026-11-23T13:41:07Z"}]}]}'
    ),
    b'{"passwordCredentials":[{"hint":"x","endDateTime":"2027-01-01T00:00:00Z"}]}',
    b"eyJyb2xlcyI6WyJVc2VyLlJlYWQuQWxsIl19",
)
# What a run takes: the status by its number, eight bytes of a header, the body.
_REPLIES = (
    *(b"\0       5" + body for body in _BODIES),
    b'\x04       5{"error":{"code":"x","message":"y","innerError":{"request-id":"z"}}}',
    b'\x01       5{"error":"invalid_client","error_codes":[7]}',
    b"\x02Basic realm=/x/7.key\n{}",
)


def microsoft() -> tuple[Run, Seeds]:
    """Read replies of the login, of Graph and of a metadata service; the first byte chooses the status."""
    from probes import entra_cloud_sync, entra_service_health, entra_sync  # noqa: PLC0415
    from probes.kit.entra_objects import Page, judge_objects, read_page  # noqa: PLC0415
    from probes.kit.https_exchange import Reply  # noqa: PLC0415
    from probes.kit.microsoft import (  # noqa: PLC0415
        arc_key_name,
        granted,
        read_graph_error,
        read_identity_token,
        read_token,
    )
    from probes.kit.microsoft_client import read_secret_end  # noqa: PLC0415
    from probes.kit.secret import Secret  # noqa: PLC0415

    statuses = (200, 400, 401, 403, 429, 503)
    common: dict[str, Any] = {"tenant": "corp.lab", "client_id": "x", "secret_file": "/none"}
    syncs = [entra_sync.Settings(**common, watch=watch) for watch in ("sync", "password")]
    jobs = entra_cloud_sync.Settings(**common, service_principal="x", jobs=("provisioning", "passwords"))
    health = entra_service_health.Settings(**common)

    def run(data: bytes) -> None:
        status = statuses[data[0] % len(statuses)] if data else 200
        challenge = data[1:40].partition(b"\n")[0].decode("latin-1")
        headers = {"retry-after": data[1:9].decode("latin-1"), "www-authenticate": challenge}
        reply = Reply(status=status, headers=headers, body=data[9:])
        for read in (read_token, read_graph_error, read_identity_token, arc_key_name):
            read(reply)
        for settings in syncs:
            entra_sync.judge(reply, settings, 1.8e9)
        entra_cloud_sync.judge(reply, jobs, 1.8e9)
        found = entra_service_health.read_overview(reply, health)
        if isinstance(found, entra_service_health.Health):
            entra_service_health.judge(found, reply)
        page = read_page(reply, health.target, names=True)
        if isinstance(page, Page):
            judge_objects([("users", page)], 1, 2)
        read_secret_end(reply, Secret("x"))
        granted(Secret(f"a.{data[9:].decode('latin-1')}.b"))

    return run, list(_REPLIES)
