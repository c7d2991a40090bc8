# says: fork 1 clone 1 vfork 38 clone3 38
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("fork", 57), call("clone", 56, 17, 0, 0, 0, 0), call("vfork", 58), call("clone3", 435, 0, 88))
