"""`python -m friedel`: the command line where the environment's programs aren't on the path."""

from friedel.cli.main import main

if __name__ == "__main__":
    main()
