"""One subject of the benchmark in a process of its own: sets up, warms up, then does its work each time it is told to.

Called by ``run.py`` with a job as JSON; each line on standard input starts one measurement, each answer on standard
output is a line of JSON: images per second. It runs in the peers' environments too, so it imports only
what it measures.
"""

import json
import os
import sys
import time
import warnings

JOB = json.loads(sys.argv[1])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(JOB["threads"])


def main() -> None:
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")
    from subjects import SUBJECTS

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what peers print is no answer
    work = SUBJECTS[JOB["subject"]](**JOB["arguments"])
    work()  # warm up
    print(json.dumps("ready"), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        images = work()
        print(json.dumps(images / (time.perf_counter() - start)), file=answers, flush=True)


if __name__ == "__main__":
    main()
