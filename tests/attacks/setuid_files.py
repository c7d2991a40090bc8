# says: no setuid
import posix
found = []
for folder in ("/usr/bin", "/bin", "/usr/lib/openssh", "/usr/lib/dbus-1.0"):
    try:
        found += posix.listdir(folder)
    except OSError:
        pass
print(found or "no setuid")
