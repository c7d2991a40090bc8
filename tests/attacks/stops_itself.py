# says: time limit
import posix, signal
posix.kill(posix.getpid(), signal.SIGSTOP)
print("woken")
