# says: unshare 1 setns 1 chroot 1 pivot 1 mount 1 umount 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("unshare", 272, 0x10000000), call("setns", 308, 0, 0), call("chroot", 161, b"/tmp"), call("pivot", 155, b"/tmp", b"/tmp"),
      call("mount", 165, b"x", b"/tmp", b"tmpfs", 0, 0), call("umount", 166, b"/tmp", 2))
