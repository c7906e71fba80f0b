"""A gateway's configuration is changed, and the tunnel ends: two real strongSwan daemons and the real agent."""

import json
from pathlib import Path

from tests.peers import test_strongswan_charon as charon
from tests.peers.running_agent import CHAIN, Listener, RunningAgent, eventually
from tests.peers.test_strongswan_charon import Gateway

pytestmark = charon.pytestmark
gateways = charon.gateways

PROBE = """  tunnel: {{type: strongswan, from: cloud, target: "{socket}", connection: site,
    interval: 500ms, timeout: 2s, path: [host, gw, app]}}"""


def test_a_change_stands_beside_the_loss(tmp_path: Path, gateways: tuple[Gateway, Gateway]) -> None:
    """Before and after of what was loaded, and no secret of it, in ledger, log and answers."""
    near, far = gateways
    gateway, application = Listener(), Listener()
    chain = tmp_path / "chain.yml"
    more = PROBE.format(socket=near.vici)
    chain.write_text(CHAIN.format(gateway=gateway.port, application=application.port, more=more))
    agent = RunningAgent(tmp_path / "cloud", chain)
    with agent.start():
        seen = eventually(lambda: json.loads(agent.get("/api/v1/drift")))
        facts = {fact["name"]: fact["value"] for fact in seen[0]["facts"]}
        assert facts["site ike proposal"] == "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519"
        assert facts["site/net remote selectors"] == "10.2.0.0/24"
        near.load(replace=("dpd_delay = 1s", "dpd_delay = 3s"))
        eventually(lambda: agent.logged("drift-changed"))
        far.stop()
        near.swanctl("--terminate", "--ike", "site", "--force", check=False)
        incident = eventually(
            lambda: [one for one in json.loads(agent.get("/api/v1/incidents")) if one["state"] == "confirmed"]
        )[0]
        moves = {name: move for change in incident["last_changes"] for name, move in change["moves"].items()}
        assert moves["site dpd delay seconds"] == {"before": "1", "after": "3"}
        told = agent.get("/api/v1/drift") + agent.get("/api/v1/changes") + agent.get("/")
        agent.end()
    for listener in (gateway, application):
        listener.stop()
    written = told + (agent.folder / "err").read_text() + (agent.folder / "data" / "drift.json").read_text()
    assert charon.SECRET not in written
