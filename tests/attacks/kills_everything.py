# says: killed 0
# machine: x86_64
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *arguments):
    result = libc.syscall(number, *arguments)
    return f"{name} {'done' if result >= 0 else ctypes.get_errno()}"

import posix
refused = 0
for target in (-1, 1, 0):
    for number in (0, 2, 9, 15, 19):
        if target == 1 or number == 0:
            try:
                posix.kill(target, number)
            except OSError:
                refused += 1
libc.kill(-1, 15)
print("killed 0")
