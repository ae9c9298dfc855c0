"""Log in; list, choose and remove profiles; open the console."""

import getpass
import sys
import webbrowser
from typing import Any
from urllib.parse import urlsplit

from redial_client.cli.context import Context
from redial_client.cli.exits import CommandError, Exit
from redial_client.cli.profiles import Profile, Profiles, checked_url
from redial_client.client import Redial


def login(context: Context) -> None:
    """Check a URL and a key by reading the account, then store them as the current profile."""
    args = context.args
    if (args.url is None) == (args.stack is None):
        raise CommandError("give either --url or --stack", "example: redial login --url http://127.0.0.1:3000")
    url = checked_url(args.url if args.stack is None else _stack_url(args.stack, args.region))
    if args.key == "-":
        key = sys.stdin.readline().strip()
    else:
        key = args.key or getpass.getpass(f"API key for {url} (it is not shown): ").strip()
    if not key:
        raise CommandError("key: is empty", "an operator makes one: make keys ARGS=--help, or: redial keys create")
    account = Redial(url, key, sleep=context.sleep).account.get()
    profiles = Profiles()
    profile = Profile(args.name or urlsplit(url).hostname or url, url, key)
    profiles.add(profile)
    context.out.say(f"Logged in to {url} as {account['name']}. Profile {profile.name!r} is the current one.")
    context.out.data({"profile": profile.name, "url": url, "account": {"id": account["id"], "name": account["name"]}})


def _stack_url(stack: str, region: str | None) -> str:
    """The output ApiUrl of a CloudFormation stack. Raises `CommandError`."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        advice = "install it (pip install boto3), or pass the output ApiUrl as --url"
        raise CommandError("--stack needs boto3, which is not installed", advice) from None
    try:
        client: Any = boto3.client("cloudformation", region_name=region)
        (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        advice = "check your AWS credentials and --region, or pass --url"
        raise CommandError(f"stack {stack!r} cannot be read: {error}", advice, Exit.NOT_FOUND) from error
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise CommandError(f"stack {stack!r} has no output ApiUrl: it is not one of Redial's", code=Exit.NOT_FOUND)
    return str(outputs["ApiUrl"])


def profile_list(context: Context) -> None:
    """List the profiles."""
    profiles = Profiles()
    rows = [{"name": one.name, "url": one.url, "current": one.name == profiles.current} for one in profiles.all()]
    context.out.data(rows)
    if rows:
        context.out.table(
            ["", "profile", "url"], [["*" if one["current"] else "", one["name"], one["url"]] for one in rows]
        )
    else:
        context.out.say("There are no profiles yet. Run: redial login")


def profile_use(context: Context) -> None:
    """Make a profile the current one."""
    Profiles().use(context.args.name)
    context.out.say(f"Profile {context.args.name!r} is the current one.")
    context.out.data({"current": context.args.name})


def profile_remove(context: Context) -> None:
    """Remove a profile."""
    profiles = Profiles()
    profiles.remove(context.args.name)
    context.out.say(f"Profile {context.args.name!r} was removed. The current one: {profiles.current or 'none'}.")
    context.out.data({"removed": context.args.name, "current": profiles.current})


def open_console(context: Context) -> None:
    """Open the console of the API in a browser."""
    url = f"{context.profile.url}/console"
    if not context.args.print_only and not webbrowser.open(url):
        raise CommandError("no browser could be started", f"open {url}", Exit.FAILED)
    context.out.say(url)
    context.out.data({"url": url})
