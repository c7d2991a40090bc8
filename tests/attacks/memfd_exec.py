# says: memfd 1 execveat 1 execve 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("memfd", 319, b"program", 0), call("execveat", 322, 1, b"", 0, 0, 0x1000), call("execve", 59, b"/dev/fd/3", 0, 0))
