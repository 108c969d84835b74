"""`python -m local_account serve|up|down|status --state DIR`: the account as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local_account import lifecycle


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local_account", description=__doc__)
    parser.add_argument("command", choices=["serve", "up", "down", "status"])
    parser.add_argument("--state", type=Path, default=Path(".understudy"), help="folder that outlives the process")
    parser.add_argument("--port", type=int, default=0, help="0: the port of the last time, or a free one")
    options = parser.parse_args()
    try:
        if options.command == "serve":
            lifecycle.serve(options.state, options.port)
        elif options.command == "up":
            print(lifecycle.up(options.state, port=options.port).url)  # noqa: T201 - a program's answer
        elif options.command == "down":
            lifecycle.down(options.state)
        else:
            endpoint = lifecycle.status(options.state)
            print(f"up at {endpoint.url}, process {endpoint.pid}" if endpoint else "down")  # noqa: T201
            return 0 if endpoint else 3  # 3: what service managers say for "not running"
    except lifecycle.AccountError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
