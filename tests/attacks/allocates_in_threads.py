# says: MemoryError|time limit|can't start new thread
import threading
kept, failed = [], []
def grow():
    try:
        while not failed:
            kept.append(bytes(32 << 20))
    except MemoryError as error:
        failed.append(error)
threads = [threading.Thread(target=grow) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
kept.clear()
raise failed[0]
