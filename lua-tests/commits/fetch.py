#!/usr/bin/env python3
"""Gets the releases of the packages in `packages.toml` and keeps their Lua files.

    fetch.py [--ci] [--only NAME]... [--folder FOLDER]

The registries' own clients (`pip`, `npm`) download; nothing of a package is run.
What is there already is not fetched again. The folder (default `target/commits` of
the repository, with `--ci` `target/commits-ci`) then has `PACKAGE/VERSION/path.lua`, `PACKAGE/rerun`, `PACKAGE/per_call` and `PACKAGE/versions`, the
releases in order. Exit code 1: something could not be fetched.
"""

import argparse
import fnmatch
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
JOBS = 6  # downloads at a time
FOLDER = HERE.parent.parent / "target" / "commits"


def run(*command, cwd=None):
    """What a registry's client prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def is_release(version):
    """No candidates and nightly builds: they repeat what the release has."""
    return re.fullmatch(r"v?\d+(\.\d+)*", version) is not None


def order(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def releases(package):
    """All released versions, oldest first."""
    if package["registry"] == "npm":
        found = json.loads(run("npm", "view", package["name"], "versions", "--json"))
        found = found if isinstance(found, list) else [found]
    else:
        text = run(sys.executable, "-m", "pip", "index", "versions", package["name"])
        listed = re.search(r"^Available versions: (.*)$", text, re.MULTILINE)
        found = listed.group(1).split(", ") if listed else []
    return sorted(filter(is_release, found), key=order)


def download(package, version, folder):
    """The archive of one version."""
    spec = {"npm": f"{package['name']}@{version}", "pypi": f"{package['name']}=={version}"}
    spec = spec[package["registry"]]
    if package["registry"] == "npm":
        run("npm", "pack", "--silent", spec, cwd=folder)
    else:
        pip = (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
        run(*pip, "--only-binary", ":all:", "-d", str(folder), spec)
    return next(path for path in folder.iterdir() if path.is_file())


def members(archive):
    """Paths and bytes of the Lua files in an archive."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if name.endswith(".lua"):
                    yield name, files.read(name)
    else:
        with tarfile.open(archive) as files:
            for member in files:
                if member.isfile() and member.name.endswith(".lua"):
                    yield member.name.split("/", 1)[1], files.extractfile(member).read()


def wanted(package, path):
    within = lambda patterns: any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
    is_plain = ".." not in path and not path.startswith("/")
    return is_plain and within(package["files"]) and not within(package.get("without", []))


def keep(package, version, home):
    """Fetches one release, unless it is there; whether it is."""
    if (home / version).exists():
        return True
    with tempfile.TemporaryDirectory() as scratch:
        try:
            archive = download(package, version, pathlib.Path(scratch))
        except RuntimeError as error:
            print(f"{package['name']} {version} is left out: {str(error)[-120:]}")
            return False
        part = home / f".{version}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for path, text in members(archive):
            # files of a wheel that are installed elsewhere
            path = path.replace(f"-{version}.data/", ".data/")
            if wanted(package, path):
                target = part / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text)
    part.rename(home / version)
    return True


def fetch(package, folder, chosen):
    """Fetches what is missing of the releases `chosen`, or of the newest so many; how
    many there are."""
    home = folder / package["name"].replace("/", "+")
    home.mkdir(parents=True, exist_ok=True)
    (home / "rerun").write_text("".join(rule + "\n" for rule in package.get("rerun", [])))
    if package.get("per_call"):
        (home / "per_call").touch()
    kept = home / "versions"
    known = kept.read_text().split() if kept.exists() else []
    if isinstance(chosen, int):
        if len(known) >= chosen:
            return len(known)
        chosen = releases(package)[-chosen:]
    elif known == chosen:
        return len(known)
    with ThreadPoolExecutor(JOBS) as pool:
        done = pool.map(lambda version: keep(package, version, home), chosen)
        there = [version for version, is_there in zip(chosen, done) if is_there]
    kept.write_text("\n".join(there) + "\n")
    return len(there)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--ci", action="store_true", help="the small choice only")
    options.add_argument("--only", action="append", default=[], help="this package only")
    options.add_argument("--folder", type=pathlib.Path)
    options = options.parse_args()
    folder = options.folder or FOLDER.with_name("commits-ci" if options.ci else "commits")
    packages = tomllib.loads((HERE / "packages.toml").read_text())["package"]
    failed = 0
    for package in packages:
        if options.only and package["name"] not in options.only:
            continue
        if options.ci and "ci" not in package:
            continue
        chosen = package["ci"] if options.ci else package.get("versions", 100)
        try:
            count = fetch(package, folder, chosen)
            print(f"{package['name']}: {count} releases", flush=True)
            failed += count < 2  # a registry may have dropped some
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"{package['name']}: can not be fetched: {error}", flush=True)
            failed += 1
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
