# says: handle 1 by_handle 1 fanotify 1 inotify 1 personality 1 iopl 1 acct 1 quotactl 1 syslog 1 landlock 1
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"


print(call("handle", 303, -100, b"/", 0, 0, 0), call("by_handle", 304, 0, 0, 0), call("fanotify", 300, 0, 0),
      call("inotify", 294, 0), call("personality", 135, 0x40000), call("iopl", 172, 3), call("acct", 163, 0),
      call("quotactl", 179, 0, 0, 0, 0), call("syslog", 103, 3, 0, 0), call("landlock", 444, 0, 0, 0))
