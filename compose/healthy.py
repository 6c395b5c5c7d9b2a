"""Tell whether the process of this container answers: the image's HEALTHCHECK.

python healthy.py     asks $HEALTH_URL, or else http://127.0.0.1:9465/healthz, and ends with 0 or 1

/healthz says that the process lives. Where it serves no metrics, nothing is known of it but that it
runs, which Docker sees for itself: that is no illness.
"""

from __future__ import annotations

import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

URL = "http://127.0.0.1:9465/healthz"


def illness(url: str, timeout_s: float) -> str:
    """Return what is wrong with the process that serves *url*; nothing if it is well, or serves none."""
    try:
        build_opener(ProxyHandler({})).open(url, timeout=timeout_s).close()
    except HTTPError as error:
        return f"{url} answers {error.code}"
    except URLError as error:
        return "" if isinstance(error.reason, ConnectionRefusedError) else f"{url}: {error.reason}"
    except OSError as error:
        return f"{url}: {error}"
    return ""


if __name__ == "__main__":
    told = illness(os.environ.get("HEALTH_URL", URL), timeout_s=5)
    print(told or "well")
    sys.exit(bool(told))
