# says: unix 1 inet6 1 netlink 1 packet 1 vsock 1 alg 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(*(call(name, 41, family, kind, 0) for name, family, kind in
        (("unix", 1, 1), ("inet6", 10, 2), ("netlink", 16, 3), ("packet", 17, 3), ("vsock", 40, 1), ("alg", 38, 5))))
