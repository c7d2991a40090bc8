# says: limit|MemoryError
# function: solve
class Solution:
    def solve(self, text):
        value = []
        for _ in range(60):
            value = [value, value]
        return value
