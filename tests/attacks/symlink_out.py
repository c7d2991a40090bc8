# says: FileNotFoundError
import posix, io
posix.symlink("/../../../../etc/shadow", "/tmp/link")
print(io.open("/tmp/link").read())
