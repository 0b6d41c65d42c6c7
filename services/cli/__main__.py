"""`python -m services.cli` is `maskline`."""

from services.cli import main

if __name__ == "__main__":
    main()
