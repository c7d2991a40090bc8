# says: nice 1 affinity 1 scheduler 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("nice", 141, 0, 0, -20), call("affinity", 203, 0, 128, bytes(128)), call("scheduler", 144, 0, 1, bytes(4)))
