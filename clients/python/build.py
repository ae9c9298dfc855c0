"""Build the wheel and `redial.pyz`, the command in one file: `make client`.

Neither needs a network: uv builds the wheel on its own, and the .pyz contains the packages of this environment. Both
builds are reproducible.
"""

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
PACKAGES = ("requests", "urllib3", "certifi", "idna", "charset-normalizer", "rich", "standardwebhooks")
"""The packages that the command imports. rich's pygments and markdown-it-py are left out: they only serve code and
Markdown, which the command never shows."""
KINDS = (".py", ".pem")
PYTHON = b"#!/usr/bin/env python3\n"
EARLIEST = (1980, 1, 1, 0, 0, 0)


def build_wheel(folder: Path) -> Path:
    """Build the wheel into `folder`, with this environment's uv. Raises `subprocess.CalledProcessError`."""
    uv = [sys.executable, "-m", "uv", "build", "--offline", "--quiet", "--wheel", "--python", sys.executable]
    subprocess.run([*uv, "--out-dir", str(folder), str(HERE)], check=True)
    (folder / ".gitignore").unlink(missing_ok=True)  # uv's own
    (wheel,) = folder.glob("redial_client-*.whl")
    return wheel


def build_pyz(folder: Path) -> Path:
    """Pack the client and the packages that it needs into one file that Python can run."""
    files = {str(path.relative_to(HERE)): path.read_bytes() for path in HERE.glob("redial_client/**/*.py")}
    for package in PACKAGES:
        for file in distribution(package).files or []:
            if file.suffix in KINDS and not {"..", "tests"} & set(file.parts):
                files[str(PurePosixPath(file))] = Path(str(file.locate())).read_bytes()
    files["__main__.py"] = files["redial_client/cli/__main__.py"]
    pyz = folder / "redial.pyz"
    with pyz.open("wb") as opened:
        opened.write(PYTHON)
        with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(files):
                archive.writestr(zipfile.ZipInfo(name, EARLIEST), files[name], zipfile.ZIP_DEFLATED)
    pyz.chmod(0o755)
    return pyz


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("redial_client-*.whl"):
        old.unlink()
    for path in (build_wheel(folder), build_pyz(folder)):
        print(f"{path}  {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
