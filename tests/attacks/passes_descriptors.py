# says: sent 1 received 1
# machine: x86_64
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
rights = ctypes.create_string_buffer(struct.pack("=Qiii4x", 20, 1, 1, 0))
byte = ctypes.create_string_buffer(b"x")
vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(byte), 1))
message = ctypes.create_string_buffer(
    struct.pack("=QI4xQQQQi4x", 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(rights), 24, 0))
def call(number):
    return "done" if libc.syscall(number, 3, message, 0) >= 0 else ctypes.get_errno()

print("sent", call(46), "received", call(47))
