# says: PermissionError
import posix, stat
posix.mknod("/tmp/sda", 0o600 | stat.S_IFBLK, posix.makedev(8, 0))
