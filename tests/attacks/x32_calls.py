# says: signal 31
# machine: x86_64
import ctypes, mmap
def run(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
run(bytes.fromhex("b8270000400f05c3"))  # mov eax, x32 getpid; syscall; ret
print("ran")
