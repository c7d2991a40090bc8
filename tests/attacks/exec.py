# says: PermissionError
import posix
posix.execv("/usr/bin/python3", ["python3", "-c", "print(1)"])
