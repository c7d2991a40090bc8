# says: signal 6
import posix
posix.abort()
