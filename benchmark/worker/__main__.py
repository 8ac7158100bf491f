"""Entry point of a child: one job as JSON on the command line, one line of figures back.

Run by path (``python .../worker/__main__.py JOB``) and not with ``-m``, so that the working
directory never decides which ``aiokafka`` is imported: the source tree goes last on the
import path, or first when the job says that the checkout itself is measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(text: str) -> int:
    # The first entry is this script's own folder, whose modules are not top-level ones.
    del sys.path[0]
    sys.path.append(str(ROOT))
    from benchmark.worker import dispatch
    from benchmark.worker.job import Job

    job = Job.from_json(text)
    if job.checkout:
        sys.path.insert(0, str(ROOT))
    print(dispatch.run(job).to_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
