# says: bpf 1 perf 1 userfaultfd 1 keyctl 1 add_key 1 iouring 38
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("bpf", 321, 0, 0, 0), call("perf", 298, 0, 0, -1, -1, 0), call("userfaultfd", 323, 0), call("keyctl", 250, 0, 0),
      call("add_key", 248, 0, 0, 0, 0, 0), call("iouring", 425, 8, 0))
