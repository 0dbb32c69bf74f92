"""Build the wheel, install it in a bare environment, migrate a new database, list tools over stdio.

Run by `make smoke`; not a pytest test, because it needs the package index.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "smoke", "version": "1"}},
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="crm-smoke-") as folder:
        os.chmod(folder, 0o711)
        place = Path(folder)
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(place), str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = place.glob("*.whl")
        venv.create(place / "env", with_pip=True)
        python = place / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        pins = [
            line.split(" \\")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
        ]
        (place / "pins.txt").write_text("\n".join(pin for pin in pins if not pin.lstrip().startswith("#")))
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--constraint", str(place / "pins.txt"), str(wheel)], check=True)
        environment = {**os.environ, "CRM_HOME": str(place / "home"), "CRM_IDLE": "0.2", "CRM_OPEN_BROWSER": "never"}
        crm = [str(python), "-m", "crm_mcp"]
        made = ["init", "--org", "Smoke", "--slug", "smoke", "--admin", "a@smoke.example", "--name", "A"]
        subprocess.run([*crm, *made], check=True, env=environment, cwd=folder)
        names = listed([*crm, "serve", "--user", "a@smoke.example"], environment, folder)
        assert "create_order_draft" in names, names
        print(f"wheel smoke test: {wheel.name} migrated a new database and listed {len(names)} tools over stdio")


def listed(command: list[str], environment: dict[str, str], folder: str) -> list[str]:
    asked = [
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=folder, text=True
    ) as server:
        assert server.stdin and server.stdout
        for message in asked:
            server.stdin.write(json.dumps(message) + "\n")
            server.stdin.flush()
            if message.get("id"):
                answer = json.loads(server.stdout.readline())
        server.stdin.close()
        server.wait(20)
    return [tool["name"] for tool in answer["result"]["tools"]]


if __name__ == "__main__":
    main()
