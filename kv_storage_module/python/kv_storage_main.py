"""`python3 -m kv_storage`: the file __main__.py of the package, for plain python3. The runner has it built in."""

import sys

from kv_storage import _command_line

sys.exit(_command_line()(sys.argv[1:]))
