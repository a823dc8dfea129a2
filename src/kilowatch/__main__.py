"""Lets `python -m kilowatch` do what the `kilowatch` command does."""

from kilowatch.cli.app import main

if __name__ == "__main__":
    main()
