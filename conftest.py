"""Where pytest runs in several processes, each has its own part of the processor's cores."""

import os

# Two processes whose threads share all cores, and stop each other whenever one wakes, took 1.4 times as long.
if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "SCHED_BATCH"):
    worker, workers = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[worker::workers] or cores)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
