# says: ptrace 1 vm_readv 1 vm_writev 1 kcmp 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("ptrace", 101, 16, 1, 0, 0), call("vm_readv", 310, 1, 0, 0, 0, 0, 0), call("vm_writev", 311, 1, 0, 0, 0, 0, 0),
      call("kcmp", 312, 1, 2, 0, 0, 0))
