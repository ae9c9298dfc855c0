"""Profiles: named pairs of an API's URL and key, in a file that only its user may read."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from redial_client.cli.exits import CommandError, Exit


@dataclass(frozen=True)
class Profile:
    """An API and a key to use with it."""

    name: str
    url: str
    api_key: str


def profiles_path() -> Path:
    """The file: in $XDG_CONFIG_HOME or ~/.config, on Windows in %APPDATA%."""
    folder = os.environ.get("APPDATA") if sys.platform == "win32" else os.environ.get("XDG_CONFIG_HOME")
    return Path(folder or Path.home() / ".config") / "redial/profiles.json"


class Profiles:
    """The stored profiles, one of which is current. Raises `CommandError` if the file cannot be read."""

    def __init__(self) -> None:
        self.path = profiles_path()
        self.current: str | None = None
        self._profiles: dict[str, Profile] = {}
        try:
            stored = json.loads(self.path.read_text())
            self.current = stored["current"]
            self._profiles = {name: Profile(name, **one) for name, one in stored["profiles"].items()}
        except FileNotFoundError:
            pass
        except OSError as error:
            advice = "correct its permissions, or set XDG_CONFIG_HOME to another folder"
            raise CommandError(f"{self.path} cannot be read: {error.strerror}", advice, Exit.FAILED) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(
                f"{self.path} cannot be read as a file of profiles", "remove it, then: redial login"
            ) from error

    def all(self) -> list[Profile]:
        """All profiles, sorted by name."""
        return sorted(self._profiles.values(), key=lambda one: one.name)

    def get(self, name: str) -> Profile:
        """The profile with that name. Raises `CommandError`."""
        if name not in self._profiles:
            names = ", ".join(sorted(self._profiles)) or "there are none yet; run: redial login"
            raise CommandError(f"profile: {name!r} is unknown", f"profiles: {names}", Exit.NOT_FOUND)
        return self._profiles[name]

    def add(self, profile: Profile) -> None:
        """Store a profile, replacing one with the same name, and make it the current one."""
        self._profiles[profile.name] = profile
        self.current = profile.name
        self._write()

    def use(self, name: str) -> None:
        """Make a profile the current one. Raises `CommandError`."""
        self.current = self.get(name).name
        self._write()

    def remove(self, name: str) -> None:
        """Remove a profile. Raises `CommandError`."""
        del self._profiles[self.get(name).name]
        if self.current == name:
            self.current = next(iter(sorted(self._profiles)), None)
        self._write()

    def _write(self) -> None:
        """Replace the file. Only its user can read it, from the first byte on."""
        stored = {
            "current": self.current,
            "profiles": {one.name: {"url": one.url, "api_key": one.api_key} for one in self.all()},
        }
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(stored, file, indent=1)
        new.replace(self.path)


def chosen_profile(name: str | None) -> Profile:
    """The API and key to use. Raises `CommandError` if there are none.

    `name` (the option --profile) takes precedence. Without it, REDIAL_API_KEY and REDIAL_URL override the profile named
    by REDIAL_PROFILE, or else the current one. A stored key is only sent to its own URL.
    """
    environment = os.environ
    url = (environment.get("REDIAL_URL") or "").rstrip("/")
    key = environment.get("REDIAL_API_KEY") or ""
    if name is None and url and key:
        return Profile("environment", checked_url(url), key)
    profiles = Profiles()
    wanted = name or environment.get("REDIAL_PROFILE") or profiles.current
    if wanted is None:
        advice = "run: redial login, or set REDIAL_URL and REDIAL_API_KEY"
        missing = "REDIAL_API_KEY is not set" if url else "REDIAL_URL is not set" if key else "no profile is stored"
        raise CommandError(f"there is no API to use: {missing}", advice, Exit.KEY)
    profile = profiles.get(wanted)
    if name is None and url and url != profile.url:
        advice = "set REDIAL_API_KEY too: a stored key is not sent to another URL"
        raise CommandError(f"REDIAL_URL is not the URL of profile {profile.name!r}", advice, Exit.KEY)
    return Profile(profile.name, profile.url, profile.api_key if name is not None else key or profile.api_key)


def checked_url(url: str) -> str:
    """The URL without a trailing slash. Raises `CommandError` if it is not an http(s) URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"url: {url!r} is not one", "it begins with https://, or http:// on this machine")
    return url.rstrip("/")
