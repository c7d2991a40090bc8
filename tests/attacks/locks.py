# says: flock 1 lockf 1 lease 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

import posix, fcntl
fd = posix.open("/tmp/lock", posix.O_CREAT | posix.O_RDWR)
def attempt(*arguments):
    try:
        fcntl.fcntl(*arguments)
        return 0
    except OSError as error:
        return error.errno
print(call("flock", 73, fd, 2), "lockf", attempt(fd, fcntl.F_SETLK, bytes(32)), "lease", attempt(fd, fcntl.F_SETLEASE, 1))
