"""`python -m deploy.local`, which is what `./dev` runs."""

from deploy.local.cli import main

main()
