# says: shm 1 sem 1 msg 1 mq 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"


print(call("shm", 29, 0x6879, 4096, 0o1666), call("sem", 64, 0x6879, 1, 0o1666), call("msg", 68, 0x6879, 0o1666),
      call("mq", 240, b"hyperscale", 0o102, 0o666, 0))
