"""``python -m optdriver`` is the command `optdriver`."""

from __future__ import annotations

from optdriver.cli import main

if __name__ == "__main__":
    main()
