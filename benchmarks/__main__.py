"""`make bench`: every benchmark, one after the other, with the machine and the date."""

import os
import platform

from benchmarks import digest, sign_in
from newsletter_svc.clock import utcnow

if __name__ == "__main__":
    print(f"{utcnow():%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    digest.main()
    sign_in.main()
