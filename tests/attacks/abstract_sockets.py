# says: bind 1 connect 1 listen 1 accept 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"


pair = (ctypes.c_int * 2)()
libc.socketpair(1, 1, 0, pair)
address = b"\x01\x00\x00hyperscale"
print(call("bind", 49, pair[0], address, len(address)), call("connect", 42, pair[0], address, len(address)),
      call("listen", 50, pair[0], 1), call("accept", 43, pair[0], 0, 0))
