"""`python -m taylored.cli` is the same as `taylored`."""

from taylored.cli import main

if __name__ == "__main__":
    main()
