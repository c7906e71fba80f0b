"""A backup that uses the list in deploy/backup holds the record and not its key."""

import subprocess
from pathlib import Path

from agent.ledger import DATABASE, KEY

EXCLUDED = Path(__file__).parents[3] / "deploy" / "backup" / "demarc.exclude"


def test_the_key_stays_out_of_backups(tmp_path: Path) -> None:
    """Nor does a protected copy on its way, or a credential."""
    data, config = tmp_path / "var/lib/demarc", tmp_path / "etc/demarc"
    for folder in (data, config):
        folder.mkdir(parents=True)
    for name in (DATABASE, KEY, f"{KEY}.protected", f"{DATABASE}-wal"):
        (data / name).touch()
    (config / "ledger.key.cred").touch()
    (config / "agent.yml").touch()
    archive = tmp_path / "backup.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "-X", EXCLUDED, "var", "etc"], check=True)
    listed = subprocess.run(["tar", "-tf", archive], check=True, capture_output=True, text=True).stdout.split()
    assert sorted(Path(name).name for name in listed if not name.endswith("/")) == ["agent.yml", DATABASE]
