"""Mends what libfaketime 0.9.10 spoils in a replica: `time.sleep` fails there now and then, with EINVAL.

Python sleeps until a moment of CLOCK_MONOTONIC, and libfaketime reckons wrongly with that. It is right about
the waiting for a lock.
"""

import threading
import time


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


time.sleep = _sleep
