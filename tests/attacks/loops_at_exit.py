# says: time limit
import atexit, threading
def loop():
    while True:
        pass
atexit.register(loop)
threading.Thread(target=loop).start()
loop()
