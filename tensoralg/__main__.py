"""``python -m tensoralg`` is the command line."""

import sys

from tensoralg.cli import main

sys.exit(main())
