# says: signal 9
import posix
posix.kill(posix.getpid(), 9)
