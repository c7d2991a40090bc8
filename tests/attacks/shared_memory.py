# says: memfd 1 shmget 1 mq 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(*(call(name, number, 0, 1 << 30, 0o1777, 0).replace(" done", "!") for name, number in
        (("memfd", 319), ("shmget", 29), ("mq", 240))))
