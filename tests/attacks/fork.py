# says: PermissionError
import posix
posix.fork()
print("forked")
