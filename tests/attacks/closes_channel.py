# official: exit status
# real: line 1 is "gone"
import posix
posix.close(3)
print("gone")
