"""Runs one workload for one peer and prints its figures as JSON on the last line. Started by run.py."""

import dataclasses
import json
import sys

from kvbench import workloads
from kvbench.settings import Settings


def main() -> None:
    workload, peer, settings = sys.argv[1:]
    result = workloads.load(workload).run(peer, Settings.from_json(settings))
    print(json.dumps(dataclasses.asdict(result)))


if __name__ == "__main__":
    main()
