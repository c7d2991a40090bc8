# says: line 1 is "\\x1b\]0;owned\\x07\\x1b\[2J
print("\x1b]0;owned\x07\x1b[2J\x1b[31m")
