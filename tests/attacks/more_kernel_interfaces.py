# says: modules 1 kexec 1 reboot 1 swapon 1 clock 1 hostname 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("modules", 175, 0, 0, 0), call("kexec", 246, 0, 0, 0, 0), call("reboot", 169, 0, 0, 0, 0), call("swapon", 167, 0, 0),
      call("clock", 227, 0, bytes(16)), call("hostname", 170, b"x", 1))
