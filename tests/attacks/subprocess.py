# says: PermissionError
import _posixsubprocess, posix
r, w = posix.pipe()
_posixsubprocess.fork_exec([b"/bin/sh"], (b"/bin/sh",), True, (), None, None, -1, -1, -1, -1, -1, -1, r, w, False, True, -1, None, None,
                           None, -1, None, False)
