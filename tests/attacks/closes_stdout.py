# official: exit status 0 before it was done
# real: expected
import posix
posix.close(1)
posix._exit(0)
