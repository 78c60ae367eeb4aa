"""``python -m snpoint``."""

from snpoint.cli import main

if __name__ == "__main__":
    main()
