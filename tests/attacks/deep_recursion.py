# answer: ok
import sys, threading
sys.setrecursionlimit(10 ** 6)
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)
def main():
    print("ok" if depth(200000) == 200000 else "no")
threading.stack_size(256 << 20)
thread = threading.Thread(target=main)
thread.start()
thread.join()
