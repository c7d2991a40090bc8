# says: fsopen 1 open_tree 1 move_mount 1 mount_setattr 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

print(call("fsopen", 430, b"proc", 0), call("open_tree", 428, -100, b"/", 1), call("move_mount", 429, 0, b"", 0, b"", 0),
      call("mount_setattr", 442, -100, b"/", 0, 0, 0))
