# says: the result is not
# function: solve
class Solution:
    def solve(self, text):
        value = []
        value.append(value)
        return value
