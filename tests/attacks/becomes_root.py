# says: setuid 1 setgid 1 setgroups 1 capset 1 prctl 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("setuid", 105, 0), call("setgid", 106, 0), call("setgroups", 116, 0, 0), call("capset", 126, 0, 0), call("prctl", 157, 4, 1))
