"""The five minutes of docs/five-minutes.md, played and recorded: `python -m tests.console.five_minutes`, with
`PYTHONPATH=.:layers/redial`.

It runs `make run`, does in the browser what the page says, writes `docs/five-minutes/<step>.png` and prints when each
step was reached, in seconds after the command. The ports 3000 to 3003 must be free.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.console.browser import Console, chromium

FOLDER = Path("docs/five-minutes")
PAGE = Path("docs/five-minutes.md")
LOG = Path(".run/five-minutes.log")
URL = "http://127.0.0.1:3000"
KEY = "local-dev-key"


def contacts() -> str:
    """The file that the page's own command makes."""
    command = re.search(r"<!-- the file -->\n```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert command is not None, f"{PAGE} has no command that makes the file"
    subprocess.run(["bash", "-ec", command[1]], cwd=".run", check=True)
    return ".run/contacts.csv"


def play(console: Console, file: str, started: float) -> None:
    page = console.page

    def reached(step: str) -> None:
        console.picture(FOLDER / f"{step}.png", most=800)
        print(f"{time.monotonic() - started:5.0f} s  {step}", flush=True)

    console.sign_in(KEY, "batches")
    page.get_by_role("link", name="New batch").first.click()
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Call again").select_option("own")
    page.get_by_label("At most", exact=True).select_option("2")
    page.get_by_label("Minutes between").fill("15, 30")
    reached("1-upload")
    page.get_by_role("button", name="Upload and check").click()
    console.see("Done between")
    console.settled()
    reached("2-check")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    page.get_by_text(re.compile(r"[1-9][0-9]* of 300 contacts done")).wait_for(timeout=60_000)
    page.wait_for_timeout(8_000)
    reached("3-watch")
    page.get_by_text("300 of 300 contacts done").wait_for(timeout=240_000)
    reached("4-finished")
    page.wait_for_timeout(2_000)  # the statistics follow within a few seconds
    page.get_by_role("link", name="Which retry paid?").click()
    page.get_by_role("heading", name="Contacts reached by each attempt").wait_for(timeout=60_000)
    reached("5-learn")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    file = contacts()
    started = time.monotonic()
    with LOG.open("w") as log:  # a pipe that is not read would block it
        stack = subprocess.Popen(["make", "run"], env=os.environ | {"SPEED": "60"}, stdout=log, start_new_session=True)
    try:
        while "  console  " not in LOG.read_text():
            assert stack.poll() is None, "make run ended"
            time.sleep(0.2)
        print(f"{time.monotonic() - started:5.0f} s  make run is up", flush=True)
        with chromium() as browser:
            console = Console(browser, URL)
            try:
                play(console, file, started)
            except Exception:
                console.picture(".run/five-minutes.png")
                raise
            finally:
                console.close()
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        stack.wait(30)
    assert console.faults == [], console.faults
    return 0


if __name__ == "__main__":
    sys.exit(main())
