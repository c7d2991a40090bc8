# says: signal 31
# machine: x86_64
import ctypes, mmap
def run(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
run(bytes.fromhex("b814000000cd80c3"))  # mov eax, getpid; int 0x80; ret
print("ran")
