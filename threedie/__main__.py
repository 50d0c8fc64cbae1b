"""`python -m threedie` is `3die`."""

from threedie.cli import main

if __name__ == "__main__":
    main()
