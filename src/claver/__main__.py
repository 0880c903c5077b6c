"""`python -m claver`."""

from __future__ import annotations

from claver.cli.main import main

if __name__ == "__main__":
    main()
