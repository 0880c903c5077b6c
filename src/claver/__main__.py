"""`python -m claver`."""

from claver.cli.main import main

if __name__ == "__main__":
    main()
