"""What a restore sends to Postgres: one transaction, as the owner of the database and without a superuser.

pg_restore would need one: functions belong to roles that its login is no member of by inheritance. So the owner's
part and each definer's grants are read off the dump apart, and put in order here. psql runs what comes out; where
anything fails, or the dump ends too soon, the transaction never commits and the database is as it was.
"""

import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..migrate import LOCK
from .errors import RecoveryFailed
from .manifest import Manifest

OWNER = "crm_owner"
DEFINERS = ("crm_definer", "crm_signin")
HEADROOM = 10_000
"""Ids that are left out: those given after the backup was made are known outside, in chats and in e-mails."""
_ENTRY = re.compile(r"\d+; \d+ \d+ (?P<kind>ACL|[A-Z].*?) .* (?P<owner>\S+)$")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")

_CLEAR = """do $$ declare s name; begin
 for s in select nspname from pg_namespace where nspowner = 'crm_owner'::regrole and nspname !~ '^pg_' and nspname <> 'public' loop
  execute format('drop schema %I cascade', s);
 end loop;
end $$;"""
_SESSIONS = """delete from crm.web_sessions; delete from crm.login_links;
do $$ begin
 if to_regclass('crm.invitations') is not null then
  update crm.invitations set ended_at = now() where used_at is null and ended_at is null;
 end if;
 if to_regclass('crm.passkey_challenges') is not null then
  delete from crm.passkey_challenges;
 end if;
end $$;"""
_KEYS = "update crm.api_keys set revoked_at = now() where revoked_at is null;"
_MAIL = """do $$ begin
 if to_regclass('crm.outbox') is not null then
  alter table crm.outbox disable trigger user;
  update crm.outbox set state = 'unsent', next_attempt_at = null,
   last_error = 'A backup was restored: it may have been sent since that was made.' where state in ('queued', 'sending');
  alter table crm.outbox enable trigger user;
 end if;
end $$;"""
_SEQUENCES = """do {tag} declare s record; top bigint; held bigint; begin
 for s in select q.oid::regclass as seq, t.oid::regclass as tbl, a.attname as col
   from pg_class q join pg_depend d on d.objid = q.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
   join pg_class t on t.oid = d.refobjid join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
   join pg_namespace n on n.oid = q.relnamespace where q.relkind = 'S' and n.nspname::text in ({schemas}) loop
  execute format('select coalesce(max(%I), 0) from %s', s.col, s.tbl) into held;
  execute format('select greatest(last_value, $1) from %s', s.seq) into top using held;
  perform setval(s.seq, top + greatest({headroom}, top / 10));
 end loop;
end {tag};"""


def write(
    file: Path,
    pg_restore: str,
    known: Manifest,
    send: Callable[[bytes], object],
    *,
    signs_in_by_email: bool,
    keeps_keys: bool,
    delivers: bool,
    told: Callable[[int, int], None],
) -> None:
    """Send the whole of a restore, from BEGIN to COMMIT; nothing of the latter where the dump does not end well.

    Raises:
        RecoveryFailed: pg_restore cannot read the dump.
    """
    if not all(name and "\0" not in name and len(name.encode()) < 64 for name in known.schemas):
        raise RecoveryFailed(f"The backup names schemas that are none: {', '.join(known.schemas)}.")
    send(_prologue(known).encode())
    entries = _entries(pg_restore, file)
    done = 0
    for line in _read(pg_restore, file, [line for line, kind, owner in entries if _is_owners(kind, owner)]):
        send(line)
        if line.startswith(b"COPY "):
            done += 1
            told(min(done, len(known.tables)), len(known.tables))
    for role in DEFINERS:
        send(f"set role {role};\n".encode())
        for line in _read(
            pg_restore, file, [line for line, kind, owner in entries if (kind, owner) == ("ACL", role)]
        ):
            send(line)
        send(b"reset role;\n")
    parts = [_MAIL if not delivers else "", _KEYS if not keeps_keys else ""]
    send(_epilogue(known, signs_in_by_email, parts).encode())


def _identifier(name: str) -> str:
    """Return a name as SQL has it, whatever an org has called its own schema."""
    return '"' + name.replace('"', '""') + '"'


def _tag() -> str:
    """Return a quote that no name of an org's can hold."""
    return f"$r{secrets.token_hex(12)}$"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_owners(kind: str, owner: str) -> bool:
    return kind != "SCHEMA" and not (kind == "ACL" and owner in DEFINERS)


def _prologue(known: Manifest) -> str:
    schemas = "".join(
        f"create schema {name};\ngrant create on schema {name} to {', '.join(DEFINERS)};\n"
        for name in map(_identifier, known.schemas)
    )
    # Only a session that has loaded it knows its settings, which functions here have.
    loaded = "select public.similarity('', '');\n" if "pg_trgm" in known.extensions else ""
    return (
        "begin;\nset local statement_timeout = 0;\nset local lock_timeout = '30s';\nset local client_min_messages = warning;\n"
        f"select pg_advisory_xact_lock({LOCK});\n{loaded}{_CLEAR}\n{schemas}"
    )


def _epilogue(known: Manifest, signs_in_by_email: bool, parts: list[str]) -> str:
    """Say it all by its full name: the search path of the dump is empty."""
    counts = "".join(
        f" if (select count(*) from {name}) <> {rows} then raise exception '{name} does not have {rows} rows'; end if;\n"
        for name, rows in known.tables.items()
        if all(_NAME.fullmatch(part) for part in name.split("."))
    )
    names = list(map(_identifier, known.schemas))
    schemas = "".join(f"revoke create on schema {name} from {', '.join(DEFINERS)};\n" for name in names)
    sequences = _SEQUENCES.format(schemas=", ".join(map(_literal, known.schemas)), headroom=HEADROOM, tag=_tag())
    setting = f"update crm.database_setting set email_sign_in = {str(signs_in_by_email).lower()};"
    return "\n".join(
        ("reset all;", "set row_security = off;", f"do $$ begin\n{counts}end $$;", sequences, _SESSIONS, setting, *parts, schemas, "commit;", "")
    )  # fmt: skip


def _entries(pg_restore: str, file: Path) -> list[tuple[str, str, str]]:
    """Return the dump's table of contents: each line, its kind, its owner."""
    found: list[tuple[str, str, str]] = []
    for line in subprocess.run(
        [pg_restore, "--list", str(file)], capture_output=True, text=True, check=False
    ).stdout.splitlines():
        if (entry := _ENTRY.match(line)) is not None:
            kind = entry["kind"] if not line.split(None, 3)[3].startswith("SCHEMA ") else "SCHEMA"
            found.append((line, kind, entry["owner"]))
    return found


def _read(pg_restore: str, file: Path, entries: list[str]) -> Iterator[bytes]:
    """Yield the script of these entries of a dump, line by line.

    Raises:
        RecoveryFailed: it could not be read to its end.
    """
    with tempfile.TemporaryDirectory(prefix="crm-mcp-") as folder:
        chosen, words = Path(folder, "list"), Path(folder, "said")
        chosen.write_text("\n".join(entries) + "\n", encoding="utf-8")
        with (
            words.open("wb") as said,
            subprocess.Popen(
                [pg_restore, f"--use-list={chosen}", "--file=-", str(file)], stdout=subprocess.PIPE, stderr=said
            ) as reading,
        ):
            assert reading.stdout is not None
            try:
                yield from reading.stdout
            except BaseException:
                reading.terminate()
                raise
        if reading.returncode != 0:
            text = words.read_text(encoding="utf-8", errors="replace")
            raise RecoveryFailed(f"The dump in {file} cannot be read. pg_restore said: {' '.join(text.split())}")
