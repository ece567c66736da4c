"""`python -m starter` is `towpath`."""

from starter.main import main

main()
