"""`python -m makeup_sdk` is the `makeup` command."""

from makeup_sdk.cli import main

if __name__ == "__main__":
    main()
