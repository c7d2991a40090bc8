# says: PermissionError
import posix
if posix.fork() == 0:
    posix.setsid()
    if posix.fork() == 0:
        while True:
            pass
