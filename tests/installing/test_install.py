"""`crm-mcp install` on real files in a home of its own: what it writes, what it keeps, what it refuses."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_mcp.cli import main
from crm_mcp.cli.installing import placing
from crm_mcp.embedded.locks import FileLock

SAM = "sam@demo.example"
KEYS = {"claude-desktop": "mcpServers", "claude-code": "mcpServers", "cursor": "mcpServers", "vscode": "servers"}
STRICT = ["claude-desktop", "claude-code", "cursor"]
ENTRY = {"command": sys.executable, "args": ["-P", "-m", "crm_mcp", "serve", "--user", SAM]}


@pytest.fixture
def crm(tmp_path, monkeypatch):
    """Type a command as somebody whose home and project are empty folders."""
    for name in [name for name in os.environ if name.startswith(("CRM_", "XDG_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    for folder in ("me", "project"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path / "project")
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def installed(crm, client, *words):
    done = crm("install", client, "--user", SAM, *words)
    assert done.exit_code == 0, done.output
    return done.output


def copies(file):
    return sorted(file.parent.glob(f"{file.name}.*.bak"))


LINUX = {
    ("claude-desktop", None): "me/.config/Claude/claude_desktop_config.json",
    ("claude-code", None): "project/.mcp.json",
    ("claude-code", "user"): "me/.claude.json",
    ("cursor", None): "me/.cursor/mcp.json",
    ("cursor", "project"): "project/.cursor/mcp.json",
    ("vscode", None): "project/.vscode/mcp.json",
    ("vscode", "user"): "me/.config/Code/User/mcp.json",
}
DARWIN = LINUX | {
    ("claude-desktop", None): "me/Library/Application Support/Claude/claude_desktop_config.json",
    ("vscode", "user"): "me/Library/Application Support/Code/User/mcp.json",
}
WINDOWS = LINUX | {
    ("claude-desktop", None): "me/Roaming/Claude/claude_desktop_config.json",
    ("vscode", "user"): "me/Roaming/Code/User/mcp.json",
}
PLACES = [
    pytest.param(system, client, scope, place, id=f"{system}-{client}-{scope or 'usual'}")
    for system, places in (("linux", LINUX), ("darwin", DARWIN), ("win32", WINDOWS))
    for (client, scope), place in places.items()
]


@pytest.mark.parametrize(("system", "client", "scope", "place"), PLACES)
def test_the_entry_lands_where_the_client_looks_on_this_system(
    crm, monkeypatch, tmp_path, system, client, scope, place
):
    monkeypatch.setattr("crm_mcp.cli.installing.clients.sys.platform", system)
    monkeypatch.setenv("APPDATA", str(tmp_path / "me" / "Roaming"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "me" / "Local"))
    monkeypatch.setenv("CRM_HOME", str(tmp_path / "crm"))
    installed(crm, client, *(["--scope", scope] if scope else []))
    entry = json.loads((tmp_path / place).read_text())[KEYS[client]]["crm"]
    typed = {"type": "stdio"} if client == "vscode" else {}
    assert entry == {**typed, **ENTRY, "env": {"CRM_HOME": str(tmp_path / "crm")}}


def test_claude_desktop_from_the_windows_store_has_a_folder_of_its_own(crm, monkeypatch, tmp_path):
    monkeypatch.setattr("crm_mcp.cli.installing.clients.sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    monkeypatch.setenv("CRM_HOME", str(tmp_path / "crm"))
    package = tmp_path / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    package.mkdir(parents=True)
    installed(crm, "claude-desktop")
    assert (package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json").exists()


def test_claude_codes_own_folder_is_respected(crm, monkeypatch, tmp_path):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    installed(crm, "claude-code", "--scope", "user")
    assert (tmp_path / "elsewhere" / ".claude.json").exists()


def test_a_scope_that_a_client_does_not_have_is_refused(crm):
    refused = crm("install", "claude-desktop", "--user", SAM, "--scope", "project")
    assert refused.exit_code == 1
    assert "Claude Desktop has no configuration of a project" in refused.output


@pytest.mark.parametrize("client", KEYS)
def test_other_servers_order_indentation_and_unknown_keys_stay_to_the_character(crm, tmp_path, client):
    file, key = tmp_path / "config.json", KEYS[client]
    before = f'{{\n\t"theme": "d\\u00e4rk",\n\t"{key}": {{\n\t\t"zed": {{"command": "z",   "args": []}}\n\t}},\n\t"a": 1.50\n}}\n'
    file.write_text(before)
    installed(crm, client, "--config", file)
    text = file.read_text()
    start = text.index(',\n\t\t"crm"')
    end = text.index("\n\t},\n", start)
    assert text[:start] + text[end:] == before
    assert '\n\t\t"crm": {\n\t\t\t"' in text
    assert [copy.read_text() for copy in copies(file)] == [before]


@pytest.mark.parametrize("client", KEYS)
def test_a_second_run_writes_nothing_and_removing_brings_the_old_text_back(crm, tmp_path, client):
    file = tmp_path / "config.json"
    before = f'{{\n  "{KEYS[client]}": {{\n    "other": {{\n      "command": "x"\n    }}\n  }}\n}}\n'
    file.write_text(before)
    installed(crm, client, "--config", file)
    once, when = file.read_bytes(), file.stat().st_mtime_ns
    assert "already" in installed(crm, client, "--config", file)
    assert (file.read_bytes(), file.stat().st_mtime_ns, len(copies(file))) == (once, when, 1)
    gone = crm("install", client, "--config", file, "--remove")
    assert gone.exit_code == 0
    assert file.read_text() == before
    assert "does not have it" in crm("install", client, "--config", file, "--remove").output


def test_a_config_in_one_line_stays_in_one_line(crm, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"mcpServers": {"other": {"command": "x"}}, "theme": "dark"}')
    installed(crm, "claude-desktop", "--config", file)
    assert "\n" not in file.read_text()
    assert json.loads(file.read_text()) == {
        "mcpServers": {"other": {"command": "x"}, "crm": ENTRY},
        "theme": "dark",
    }
    crm("install", "claude-desktop", "--config", file, "--remove")
    assert file.read_text() == '{"mcpServers": {"other": {"command": "x"}}, "theme": "dark"}'


COMMENTED = """{
  // my servers
  "servers": {
    /* first */ "one": {"type": "http", "url": "http://localhost:1"}, // keep
    "two": {
      "command": "x", // why
    }, // after two
    // the end
  },
  "inputs": [], // none yet
}
"""


def test_vs_codes_comments_and_trailing_commas_stay(crm, tmp_path):
    file = tmp_path / "mcp.json"
    file.write_text(COMMENTED)
    installed(crm, "vscode", "--config", file)
    text = file.read_text()
    assert re.sub(r'\n    "crm": \{.*?\n    \},', "", text, flags=re.DOTALL) == COMMENTED
    assert '    }, // after two\n    "crm": {' in text
    assert "already" in installed(crm, "vscode", "--config", file)
    crm("install", "vscode", "--config", file, "--remove")
    assert file.read_text() == COMMENTED


@pytest.mark.parametrize("client", STRICT)
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n  // mine\n  "mcpServers": {}\n}', "line 2, column 3: a comment"),
        ('{\n  "mcpServers": {},\n}', "line 2, column 19: a comma before the end"),
        ('{\n  "mcpServers": {\n    "a": {"command": "x"\n  }\n', "line 5, column 1: a comma or }"),
        ("{ not json", "line 1, column 3: a name in double quotes"),
        ('{"mcpServers": []}', "line 1, column 16: an object is expected"),
        ("[]", "line 1, column 1: an object is expected"),
        ('{"a": "b\n"}', "line 1, column 7: a text that does not end"),
        ("{} {}", "line 1, column 4: something follows"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_the_client_could_not_read_is_refused_with_its_place_and_the_text_to_paste(
    crm, tmp_path, client, text, where
):
    file = tmp_path / "config.json"
    file.write_text(text)
    refused = crm("install", client, "--user", SAM, "--config", file)
    assert refused.exit_code == 1
    assert where in refused.output
    assert '"mcpServers": {\n    "crm": {\n      "command":' in refused.output
    assert [path.name for path in tmp_path.glob("config*")] == ["config.json"]
    assert file.read_text() == text


def test_a_text_that_is_not_utf8_is_refused(crm, tmp_path):
    file = tmp_path / "config.json"
    file.write_bytes("{}".encode("utf-16"))
    refused = crm("install", "cursor", "--user", SAM, "--config", file)
    assert refused.exit_code == 1
    assert "is not UTF-8" in refused.output
    assert file.read_bytes() == "{}".encode("utf-16")


def test_a_byte_order_mark_and_crlf_stay(crm, tmp_path):
    file = tmp_path / "config.json"
    before = b'\xef\xbb\xbf{\r\n  "mcpServers": {\r\n    "o": {}\r\n  }\r\n}\r\n'
    file.write_bytes(before)
    installed(crm, "claude-desktop", "--config", file)
    after = file.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf{\r\n")
    assert after.count(b"\n") == after.count(b"\r\n") > 5
    assert json.loads(after.decode("utf-8-sig"))["mcpServers"] == {"o": {}, "crm": ENTRY}
    crm("install", "claude-desktop", "--config", file, "--remove")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "  \n\n", "{}", "{ }\n", '{"mcpServers": {}}', '{\n  "mcpServers": {\n  }\n}\n']
)
def test_an_empty_file_or_object_is_filled(crm, tmp_path, text):
    file = tmp_path / "config.json"
    file.write_text(text)
    installed(crm, "cursor", "--config", file)
    assert json.loads(file.read_text()) == {"mcpServers": {"crm": ENTRY}}


def test_a_missing_folder_is_made_and_no_copy_is_kept_of_nothing(crm, tmp_path):
    file = tmp_path / "a" / "b" / "config.json"
    said = installed(crm, "cursor", "--config", file)
    assert "As it was" not in said
    assert json.loads(file.read_text()) == {"mcpServers": {"crm": ENTRY}}
    assert [path.name for path in file.parent.iterdir()] == ["config.json"]


def test_a_folder_that_cannot_be_made_is_said_plainly(crm, tmp_path):
    (tmp_path / "a").write_text("a file")
    refused = crm("install", "cursor", "--user", SAM, "--config", tmp_path / "a" / "config.json")
    assert refused.exit_code == 1
    assert "cannot be used (Not a directory); nothing was changed" in refused.output


def test_a_read_only_file_is_left_alone(crm, tmp_path):
    file = tmp_path / "config.json"
    file.write_text("{}")
    file.chmod(0o444)
    refused = crm("install", "cursor", "--user", SAM, "--config", file)
    assert refused.exit_code == 1
    assert "read-only" in refused.output
    assert [path.name for path in tmp_path.glob("config*")] == ["config.json"]
    assert file.read_text() == "{}"


def test_the_files_mode_stays_and_the_copy_has_it_too(crm, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"token": "secret"}')
    file.chmod(0o640)
    installed(crm, "cursor", "--config", file)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, *copies(file))] == [0o640, 0o640]


def test_a_symbolic_link_stays_one_and_what_it_leads_to_is_edited(crm, tmp_path):
    real, link = tmp_path / "dotfiles" / "config.json", tmp_path / "config.json"
    real.parent.mkdir()
    real.write_text("{}")
    link.symlink_to("dotfiles/config.json")
    installed(crm, "cursor", "--config", link)
    assert os.readlink(link) == "dotfiles/config.json"
    assert "crm" in json.loads(real.read_text())["mcpServers"]
    assert len(copies(real)) == 1


def test_a_file_that_changed_between_reading_and_writing_is_left_as_it_is(crm, tmp_path, monkeypatch):
    file = tmp_path / "config.json"
    file.write_text("{}")
    real = placing._edit

    def slow(*words):
        done = real(*words)
        file.write_text('{"written": "meanwhile"}')
        return done

    monkeypatch.setattr(placing, "_edit", slow)
    refused = crm("install", "cursor", "--user", SAM, "--config", file)
    assert refused.exit_code == 1
    assert "changed meanwhile" in refused.output
    assert file.read_text() == '{"written": "meanwhile"}'
    assert [path.name for path in tmp_path.glob("config*")] == ["config.json"]


def test_a_failure_while_writing_leaves_the_file_and_no_remains(crm, tmp_path, monkeypatch):
    file = tmp_path / "config.json"
    file.write_text("{}")

    def full(*_):
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(placing.os, "replace", full)
    refused = crm("install", "cursor", "--user", SAM, "--config", file)
    assert refused.exit_code == 1
    assert "No space left on device" in refused.output
    assert file.read_text() == "{}"
    assert not list(tmp_path.glob("*.crm-mcp"))


def test_installations_at_once_wait_for_each_other_and_none_is_lost(crm, tmp_path):
    file, home = tmp_path / "config.json", tmp_path / "crm"
    file.write_text("{}")
    home.mkdir()
    environment = {**os.environ, "CRM_HOME": str(home)}
    words = [sys.executable, "-m", "crm_mcp", "install", "cursor", "--user", SAM, "--config", str(file), "--name"]
    with FileLock(home / "install.lock") as held:
        held.hold()
        running = [subprocess.Popen([*words, f"n{i}"], env=environment, stdout=subprocess.PIPE) for i in range(3)]
        ended = threading.Thread(target=lambda: [one.communicate() for one in running], daemon=True)
        ended.start()
    ended.join(60)
    assert [one.returncode for one in running] == [0, 0, 0]
    assert sorted(json.loads(file.read_text())["mcpServers"]) == ["n0", "n1", "n2"]


def test_a_second_edit_begins_only_when_the_first_is_written(tmp_path):
    file, reading, go = tmp_path / "config.json", threading.Event(), threading.Event()

    def first(text):
        reading.set()
        go.wait(30)
        return text + "1"

    edits = [
        threading.Thread(target=placing.edited, args=(file, edit, tmp_path / "crm"), daemon=True)
        for edit in (first, lambda text: text + "2")
    ]
    edits[0].start()
    assert reading.wait(30)
    edits[1].start()
    edits[1].join(0.2)
    assert edits[1].is_alive()
    go.set()
    for one in edits:
        one.join(30)
    assert file.read_text() == "12"


def test_another_server_of_that_name_is_neither_overwritten_nor_removed(crm, tmp_path):
    file = tmp_path / "config.json"
    text = '{"mcpServers": {"crm": {"command": "somebody-elses", "args": ["serve"]}}}'
    file.write_text(text)
    for words in (("--user", SAM), ("--remove",)):
        refused = crm("install", "cursor", "--config", file, *words)
        assert refused.exit_code == 1
        assert "choose a --name" in refused.output
    assert file.read_text() == text


def test_a_changed_entry_is_brought_up_to_date_and_what_the_user_added_stays(crm, tmp_path):
    file = tmp_path / "mcp.json"
    file.write_text(
        """{
  "servers": {
    "crm": {
      "type": "stdio",
      "command": "/gone/python", // the old one
      "args": ["-m", "crm_mcp", "serve", "--user", "old@demo.example"],
      "env": {"CRM_HOME": "/old", "CRM_LOG_LEVEL": "debug"},
      "dev": {"watch": "x"}
    }
  }
}"""
    )
    installed(crm, "vscode", "--config", file)
    text = file.read_text()
    assert f'"command": {json.dumps(sys.executable)}, // the old one' in text
    entry = json.loads(text.replace("// the old one", ""))["servers"]["crm"]
    assert entry == {"type": "stdio", **ENTRY, "env": {"CRM_LOG_LEVEL": "debug"}, "dev": {"watch": "x"}}


def test_options_reach_the_server(crm, tmp_path):
    file = tmp_path / "config.json"
    options = ("--org", "demo", "--agent", "order", "--toolsets", "core", "--read-only", "--name", "orders")
    installed(crm, "cursor", "--config", file, *options)
    args = json.loads(file.read_text())["mcpServers"]["orders"]["args"]
    expected = ["--user", SAM, "--org", "demo", "--agent", "order", "--toolsets", "core", "--read-only"]
    assert args[args.index("serve") + 1 :] == expected


def test_print_shows_the_entry_and_touches_and_tells_nothing_else(crm, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"mcpServers": {"other": {"env": {"TOKEN": "hush"}}}}')
    shown = crm("install", "cursor", "--user", SAM, "--config", file, "--print")
    assert json.loads(shown.stdout) == {"mcpServers": {"crm": ENTRY}}
    assert str(file) in shown.stderr
    assert "hush" not in shown.output
    assert not (tmp_path / "me" / ".local").exists()
    assert not copies(file)


REFERENCES = {"claude-code": "${CRM_API_KEY}", "cursor": "${env:CRM_API_KEY}", "vscode": "${input:crm-api-key}"}


@pytest.mark.parametrize("client", REFERENCES)
def test_an_api_key_is_referred_to_in_the_clients_own_way_and_never_written(crm, tmp_path, monkeypatch, client):
    file = tmp_path / "config.json"
    file.write_text("{}")
    monkeypatch.setenv("CRM_API_KEY", "crm_verysecret")
    done = crm("install", client, "--api-key", "--config", file)
    assert done.exit_code == 0, done.output
    content = json.loads(file.read_text())
    entry = content[KEYS[client]]["crm"]
    assert entry["env"] == {"CRM_API_KEY": REFERENCES[client]}
    assert entry["args"][-1] == "serve"
    assert "verysecret" not in file.read_text() + done.output
    if client == "vscode":
        assert [(one["id"], one["password"]) for one in content["inputs"]] == [("crm-api-key", True)]
    assert crm("install", client, "--config", file, "--remove").exit_code == 0
    assert json.loads(file.read_text()) == {KEYS[client]: {}}


def test_an_input_of_the_users_own_stays_beside_ours(crm, tmp_path):
    file = tmp_path / "mcp.json"
    before = '{\n  "inputs": [\n    {"id": "mine"} // mine\n  ],\n  "servers": {}\n}\n'
    file.write_text(before)
    assert crm("install", "vscode", "--api-key", "--config", file).exit_code == 0
    assert '{"id": "mine"}' in file.read_text()
    assert crm("install", "vscode", "--remove", "--config", file).exit_code == 0
    assert file.read_text() == before


def test_claude_desktop_cannot_refer_to_a_key_and_says_so(crm, tmp_path):
    refused = crm("install", "claude-desktop", "--api-key", "--config", tmp_path / "c.json")
    assert refused.exit_code == 1
    assert "cannot refer to a secret" in refused.output
    assert not (tmp_path / "c.json").exists()


def test_a_real_server_needs_no_person_and_neither_its_url_nor_the_key_is_written(crm, tmp_path, monkeypatch):
    file = tmp_path / "c.json"
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://crm_agent:hush@db/crm")
    assert crm("install", "claude-desktop", "--user", SAM, "--config", file).exit_code == 2
    done = crm("install", "claude-desktop", "--config", file)
    assert done.exit_code == 0, done.output
    assert "Set CRM_API_KEY" in done.output
    assert "hush" not in file.read_text() + done.output
    assert crm("install", "claude-desktop", "--config", file.with_name("d.json"), "--org", "demo").exit_code == 2


def test_somebody_to_serve_is_asked_for(crm):
    asked = crm("install", "cursor")
    assert asked.exit_code == 2
    assert "--user EMAIL" in asked.output


def test_the_command_works_from_a_bare_environment_in_a_hostile_folder(crm, tmp_path):
    file = tmp_path / "config.json"
    installed(crm, "cursor", "--config", file)
    entry = json.loads(file.read_text())["mcpServers"]["crm"]
    for name in ("crm_mcp", "argparse", "asyncio"):
        (tmp_path / "project" / f"{name}.py").write_text("raise SystemExit('taken from the project')")
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "SYSTEMROOT") if name in os.environ}
    told = subprocess.run(
        [entry["command"], *entry["args"], "--help"],
        env=kept,
        cwd=tmp_path / "project",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "usage: crm-mcp serve" in told.stdout
    assert Path(entry["command"]).is_absolute()


def test_a_server_over_http_is_connected_to_by_a_key_that_is_not_in_the_file(crm, tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_API_KEY", "crm_secret")
    done = crm("install", "claude-code", "--url", "https://crm.example.com", "--api-key")
    assert done.exit_code == 0 and "Set CRM_API_KEY" in done.output
    file = tmp_path / "project" / ".mcp.json"
    entry = json.loads(file.read_text())["mcpServers"]["crm"]
    assert entry["args"] == ["-P", "-m", "crm_mcp", "connect", "https://crm.example.com/mcp"]
    assert entry["env"] == {"CRM_API_KEY": "${CRM_API_KEY}"} and "crm_secret" not in file.read_text()
    assert crm("install", "claude-code", "--remove").exit_code == 0
    assert "crm" not in json.loads(file.read_text()).get("mcpServers", {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "http://crm.example.com"], "in the clear"),
        (["--url", "https://a:hunter2@crm.example.com"], "out of the URL"),
        (["--url", "https://crm.example.com", "--user", SAM], "decides what is served"),
    ],
)
def test_a_url_that_could_not_be_connected_to_is_not_written(crm, tmp_path, words, said):
    done = crm("install", "claude-desktop", *words)
    assert done.exit_code == 2 and said in done.output and "hunter2" not in done.output
    assert not list((tmp_path / "me").rglob("*.json"))
