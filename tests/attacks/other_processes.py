# says: pidfd 1 getfd 1 signal 1 madvise 1 prlimit 1 affinity 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"


print(call("pidfd", 434, 1, 0), call("getfd", 438, 0, 0, 0), call("signal", 424, 0, 9, 0, 0), call("madvise", 440, 0, 0, 0, 0, 0),
      call("prlimit", 302, 1, 9, 0, 0), call("affinity", 203, 1, 8, bytes(8)))
